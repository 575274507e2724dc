package capture

import (
	"context"
	"encoding/json"
	"errors"
	"syscall"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
)

// daemons asks every admin socket all that the allow-list holds. What a daemon does not know it refuses.
func (t *take) daemons(ctx context.Context) {
	sockets, err := adminsocket.Find(t.opts.CephRun)
	if err != nil {
		t.fail("admin sockets", err)
	}
	for _, s := range sockets {
		t.daemon(ctx, s)
	}
}

func (t *take) daemon(ctx context.Context, s adminsocket.Socket) {
	version, err := t.ask(ctx, s, adminsocket.Version)
	if s.Type == "client" && errors.Is(err, syscall.ECONNREFUSED) {
		return // a client that was killed leaves its file behind for ever
	}
	if err != nil {
		t.fail("daemon "+s.Daemon(), err)
		return
	}
	dir := "ceph/" + t.cephRelease(version) + "/" + s.Daemon()
	for _, cmd := range adminsocket.Commands() {
		answer, err := t.ask(ctx, s, cmd)
		switch {
		case errors.Is(err, adminsocket.ErrRefused):
		case err != nil:
			t.fail("daemon "+s.Daemon(), err)
			return
		default:
			t.add(s.Path+" "+cmd.String(), string(answer), dir, fileName(cmd.String()))
		}
	}
}

func (t *take) ask(ctx context.Context, s adminsocket.Socket, cmd adminsocket.Command) ([]byte, error) {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	reply, err := t.opts.Sockets.Call(ctx, s.Path, cmd, nil)
	return reply.Data, err
}

// cephRelease reads the answer to "version" and remembers it.
func (t *take) cephRelease(answer []byte) string {
	var v struct {
		Version string `json:"version"`
	}
	if json.Unmarshal(answer, &v) == nil && v.Version != "" {
		t.versions["ceph"] = v.Version
	}
	return release(v.Version)
}
