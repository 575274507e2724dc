package rados

import (
	"context"
	"errors"
	"fmt"

	goceph "github.com/ceph/go-ceph/rados"
)

// ErrHung is returned while an earlier call of the same lane has not returned although its caller has given up.
var ErrHung = errors.New("the last call has not returned yet")

// errLate is in the error of a call that was under way when its caller gave up.
var errLate = errors.New("gave up waiting")

// lane is what one call at a time goes through.
type lane struct {
	turn  chan struct{} // holds a token while the lane is free
	users int
	// calls is how many have left the lane, and so the number of the one that is in it.
	calls int
	hung  bool
}

// Call runs f on the connection and returns what f returns, or an error at ctx's deadline. f goes on alone then:
// it must not touch what the caller reads, its results travel in T. One call at a time goes through a lane; others
// wait for their turn until their own deadline, but not behind one that hangs.
func Call[T any](ctx context.Context, c *Conn, name string, f func(*goceph.Conn) (T, error)) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, fmt.Errorf("%s: %w", name, err)
	}
	l, err := c.enter(ctx, name)
	if err != nil {
		return zero, fmt.Errorf("%s: %w", name, err)
	}
	number := l.calls
	h, err := c.acquire(ctx)
	if err != nil {
		c.leave(name, l)
		return zero, err
	}

	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("panic: %v", p)
			}
			c.release(h, r.err)
			c.leave(name, l)
			done <- r
		}()
		r.value, r.err = f(h.conn)
	}()

	select {
	case r := <-done:
		if r.err != nil {
			return r.value, fmt.Errorf("%s: %w", name, callError(r.err, c.opts))
		}
		return r.value, nil
	case <-ctx.Done():
		c.abandon(l, number)
		return zero, fmt.Errorf("%s: %w: %w", name, errLate, ctx.Err())
	}
}

// enter waits for the turn in a lane.
func (c *Conn) enter(ctx context.Context, name string) (*lane, error) {
	c.mu.Lock()
	l := c.lanes[name]
	if l == nil {
		l = &lane{turn: make(chan struct{}, 1)}
		l.turn <- struct{}{}
		c.lanes[name] = l
	}
	if l.hung {
		c.mu.Unlock()
		return nil, ErrHung
	}
	l.users++
	c.mu.Unlock()

	select {
	case <-l.turn:
		return l, nil
	case <-ctx.Done():
		c.forget(name, l)
		return nil, ctx.Err()
	}
}

// leave lets the next one into the lane.
func (c *Conn) leave(name string, l *lane) {
	c.mu.Lock()
	l.hung = false
	l.calls++
	c.mu.Unlock()
	l.turn <- struct{}{}
	c.forget(name, l)
}

// forget drops a lane that nobody uses.
func (c *Conn) forget(name string, l *lane) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.users--
	if l.users == 0 {
		delete(c.lanes, name)
	}
}

// abandon marks the lane as hung by the call of that number. When it has returned meanwhile, perhaps with another in the
// lane by now, there is nothing to mark.
func (c *Conn) abandon(l *lane, number int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.hung = l.hung || l.calls == number
}
