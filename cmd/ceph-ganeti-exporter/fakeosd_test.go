package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// osdAnswers are what the fake OSD says, by a part of the request.
var osdAnswers = map[string]string{
	"get_command_descriptions": `{"cmd000":{"sig":["perf dump"]},"cmd001":{"sig":["perf schema"]}}`,
	"perf schema":              `{"osd":{"op":{"type":10,"metric_type":"counter","value_type":"integer","description":"Client operations","nick":"ops","priority":10,"units":"none"}}}`,
	"perf dump":                `{"osd":{"op":5}}`,
}

// fakeOSD is an admin socket that counts dumps and holds them back while it is shut.
type fakeOSD struct {
	dumps atomic.Int32
	// asked gets a value for every dump that begins.
	asked chan struct{}

	mu   sync.Mutex
	open chan struct{}
}

// startOSD starts osd.0 in a run directory of its own.
func startOSD(t *testing.T) (osd *fakeOSD, runDir string) {
	t.Helper()
	runDir = t.TempDir()
	l, err := net.Listen("unix", filepath.Join(runDir, "ceph-osd.0.asok"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	osd = &fakeOSD{asked: make(chan struct{}, 100), open: make(chan struct{})}
	osd.release()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go osd.serve(conn)
		}
	}()
	return osd, runDir
}

// shut makes dumps wait until release.
func (o *fakeOSD) shut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = make(chan struct{})
}

func (o *fakeOSD) release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.open)
}

func (o *fakeOSD) serve(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 1024)
	n, err := conn.Read(buf)
	if err != nil {
		return
	}
	for part, answer := range osdAnswers {
		if !bytes.Contains(buf[:n], []byte(part)) {
			continue
		}
		if part == "perf dump" {
			o.dumps.Add(1)
			o.mu.Lock()
			open := o.open
			o.mu.Unlock()
			o.asked <- struct{}{}
			<-open
		}
		fmt.Fprintf(conn, "%s%s", binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer)
		return
	}
}
