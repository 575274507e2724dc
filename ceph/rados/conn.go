// Package rados keeps one bounded connection to a Ceph cluster.
//
// go-ceph's calls know no context and a cluster can keep them waiting for ever. Here each runs in a goroutine of
// its own and is left alone at the caller's deadline. While it hangs no second one is started beside it, so that
// a cluster which does not answer costs a fixed number of goroutines and not one a scrape.
package rados

import (
	"context"
	"errors"
	"sync"
	"time"

	goceph "github.com/ceph/go-ceph/rados"
)

// ErrClosed is returned by every call after Close.
var ErrClosed = errors.New("connection to the cluster is closed")

// Options say how to reach the cluster.
type Options struct {
	// Config is the path of ceph.conf.
	Config string
	// User is the cephx user without "client.".
	User string
	// Keyring is the path of the keyring that holds the user's key. Empty means what ceph.conf says.
	Keyring string
	// Timeout bounds what librados itself does for one call: connect, one operation of an OSD. Zero means
	// DefaultTimeout. librados counts whole seconds. It cannot bound commands: the deadline of their caller does.
	Timeout time.Duration
}

// DefaultTimeout is below the 5 s that the exporter gives one target, so that librados says itself what is wrong.
const DefaultTimeout = 4 * time.Second

// Conn is a connection that is made on first use, and made anew after it broke, or after ceph.conf or the
// keyring changed; a call that the caps forbid does it once a minute. Any number of goroutines may use it.
type Conn struct {
	opts     Options
	open     func(Options) (*goceph.Conn, stamp, error)
	shutdown func(*goceph.Conn)

	mu     sync.Mutex
	handle *handle          // nil while not connected
	dial   *dial            // nil while nobody connects
	lanes  map[string]*lane // those in use
	denied time.Time        // when caps were the reason to connect anew
	closed bool
}

// handle is one librados connection. It is shut down when it is retired and nobody uses it any more.
type handle struct {
	conn    *goceph.Conn
	stamp   stamp
	users   int
	retired bool
}

// dial is an attempt to connect that all who need the connection wait for.
type dial struct {
	done chan struct{}
	err  error // valid when done is closed
}

// New returns a connection that connects on first use.
func New(opts Options) *Conn {
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	return &Conn{opts: opts, open: open, shutdown: shutdown, lanes: make(map[string]*lane)}
}

// Close shuts the connection down as soon as the calls that use it have returned. It does not wait for them.
func (c *Conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.retire(c.handle)
}

// acquire returns a connected handle, to be given back with release.
func (c *Conn) acquire(ctx context.Context) (*handle, error) {
	for {
		h, d, err := c.current()
		if h != nil || err != nil {
			return h, err
		}
		select {
		case <-d.done:
			if d.err != nil {
				return nil, d.err
			}
		case <-ctx.Done():
			return nil, connectError(ctx.Err(), c.opts, nil)
		}
	}
}

// current returns the handle when there is one that is fit for use, else the attempt to get one.
func (c *Conn) current() (*handle, *dial, error) {
	c.retireStale()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	if c.handle != nil {
		c.handle.users++
		return c.handle, nil, nil
	}
	if c.dial == nil {
		c.dial = &dial{done: make(chan struct{})}
		go c.connect(c.dial)
	}
	return nil, c.dial, nil
}

// retireStale takes the handle out of service when its files have changed.
func (c *Conn) retireStale() {
	c.mu.Lock()
	h := c.handle
	c.mu.Unlock()
	if h == nil || !h.stamp.changed() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retire(h)
}

// connect makes a handle and ends the attempt d.
func (c *Conn) connect(d *dial) {
	conn, s, err := c.open(c.opts)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dial = nil
	d.err = err
	if err == nil {
		c.handle = &handle{conn: conn, stamp: s}
		if c.closed {
			c.retire(c.handle)
		}
	}
	close(d.done)
}

// release gives a handle back. One that err shows to be broken is retired.
func (c *Conn) release(h *handle, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.users--
	if broken(err) || denied(err) && c.capsDue(h) {
		c.retire(h)
		return
	}
	c.shutdownUnused(h)
}

// capsEvery is how often a call that the caps forbid has the connection made anew. New caps count from then on.
const capsEvery = time.Minute

// capsDue tells whether it is time to connect anew for the caps' sake.
func (c *Conn) capsDue(h *handle) bool {
	if c.handle != h || !c.denied.IsZero() && time.Since(c.denied) < capsEvery {
		return false
	}
	c.denied = time.Now()
	return true
}

// retire takes a handle out of service.
func (c *Conn) retire(h *handle) {
	if h == nil {
		return
	}
	if c.handle == h {
		c.handle = nil
	}
	h.retired = true
	c.shutdownUnused(h)
}

// shutdownUnused shuts a handle down after it was retired and the last call has given it back.
func (c *Conn) shutdownUnused(h *handle) {
	if h.retired && h.users == 0 && h.conn != nil {
		go c.shutdown(h.conn)
		h.conn = nil
	}
}
