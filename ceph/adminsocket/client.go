// Package adminsocket speaks to the admin sockets of Ceph daemons and clients on this node.
//
// A daemon has one thread for its socket and a short queue, and whatever blocks it there blocks the
// administrator too. So a client asks only what the allow-list holds (see Command), keeps to one connection at a
// time for each socket, and never waits past its deadline.
package adminsocket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// MaxReply is the largest answer that is read, in bytes. The largest seen is a schema of 0.3 MB.
const MaxReply = 16 << 20

var (
	// ErrRefused is in the error when the daemon answered with "ERROR: ..." instead of JSON: it does not know
	// the command, or not for this kind of daemon.
	ErrRefused = errors.New("daemon refused")
	// ErrReply is in the error when the answer breaks the protocol or is not what the command gives.
	ErrReply = errors.New("malformed answer")
)

// Reply is a daemon's answer to one command.
type Reply struct {
	// Data is the answer, JSON.
	Data []byte
	// PID is the process that made the socket, in our PID namespace; 0 when it is not visible from here.
	PID int
}

// Client calls admin sockets, one connection at a time for each socket. The zero value is ready.
type Client struct {
	mu    sync.Mutex
	turns map[string]*turn
}

// turn is held by the one call that may use a socket.
type turn struct {
	held  chan struct{}
	users int
}

// Call asks the daemon behind the socket at path. The answer is read into buf where it fits; buf may be nil.
//
// Errors: ErrRefused and ErrReply as above; the context's error when the deadline passed; fs.ErrNotExist,
// fs.ErrPermission, syscall.ECONNREFUSED (a socket file that a dead daemon left behind) and syscall.EAGAIN (its
// queue is full) as the system gives them.
//
// Similar to: ceph --admin-daemon PATH COMMAND
func (c *Client) Call(ctx context.Context, path string, cmd Command, buf []byte) (Reply, error) {
	release, err := c.acquire(ctx, path)
	if err != nil {
		return Reply{}, fmt.Errorf("wait for our earlier call of %s: %w", path, err)
	}
	defer release()
	reply, err := call(ctx, path, cmd, buf)
	if err != nil {
		return Reply{}, fmt.Errorf("ask %s for %q: %w", path, cmd, sayWhy(ctx, err))
	}
	return reply, nil
}

func (c *Client) acquire(ctx context.Context, path string) (release func(), err error) {
	c.mu.Lock()
	if c.turns == nil {
		c.turns = make(map[string]*turn)
	}
	t := c.turns[path]
	if t == nil {
		t = &turn{held: make(chan struct{}, 1)}
		c.turns[path] = t
	}
	t.users++
	c.mu.Unlock()

	leave := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(c.turns, path)
		}
	}
	select {
	case t.held <- struct{}{}:
		return func() { <-t.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

func call(ctx context.Context, path string, cmd Command, buf []byte) (Reply, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return Reply{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	if _, err := io.WriteString(conn, cmd.request); err != nil {
		return Reply{}, err
	}
	data, err := readReply(conn, buf)
	if err != nil {
		return Reply{}, err
	}
	return Reply{Data: data, PID: peerPID(conn.(*net.UnixConn))}, nil
}

// readReply reads the length, four bytes in network order, and as many bytes as it says.
func readReply(r io.Reader, buf []byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("read length: %w", err)
	}
	length := binary.BigEndian.Uint32(head[:])
	if length > MaxReply {
		return nil, fmt.Errorf("%w: length of %d bytes is over the limit of %d", ErrReply, length, MaxReply)
	}
	data, err := readN(r, buf[:0], int(length))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if strings.HasPrefix(string(data[:min(len(data), 6)]), "ERROR:") {
		return nil, fmt.Errorf("%w: %s", ErrRefused, firstLine(data))
	}
	return data, nil
}

// readN reads n bytes and grows buf only as they come, so that a lying length costs no memory.
func readN(r io.Reader, buf []byte, n int) ([]byte, error) {
	const step = 1 << 20
	for len(buf) < n {
		want := min(n-len(buf), step)
		if cap(buf)-len(buf) < want {
			grown := make([]byte, len(buf), len(buf)+want)
			copy(grown, buf)
			buf = grown
		}
		got, err := io.ReadFull(r, buf[len(buf):len(buf)+want])
		buf = buf[:len(buf)+got]
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(string(text[:min(len(text), 200)]), "\n")
	return strings.ToValidUTF8(strings.TrimSpace(strings.TrimPrefix(line, "ERROR:")), "?")
}

func peerPID(conn *net.UnixConn) int {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	err = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	if err != nil {
		return 0
	}
	return pid
}

// sayWhy puts the context's error in the place of the I/O error that it caused, and adds what an administrator
// would want to know.
func sayWhy(ctx context.Context, err error) error {
	var netErr net.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("no answer in time: %w", ctx.Err())
	case errors.As(err, &netErr) && netErr.Timeout():
		return fmt.Errorf("no answer in time: %w", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens, a dead daemon left the file behind: %w", err)
	case errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("queue is full, somebody else keeps it busy or the daemon hangs: %w", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: daemon closed the connection early: %w", ErrReply, err)
	}
	return err
}
