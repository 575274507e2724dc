package rados

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	goceph "github.com/ceph/go-ceph/rados"
)

// fakeLibrados stands for librados: it opens handles that nothing may be called on.
type fakeLibrados struct {
	opened, shut atomic.Int32
	delay        time.Duration
	err          error
}

func (f *fakeLibrados) conn(opts Options) *Conn {
	c := New(opts)
	c.open = func(opts Options) (*goceph.Conn, stamp, error) {
		f.opened.Add(1)
		time.Sleep(f.delay)
		if f.err != nil {
			return nil, nil, f.err
		}
		s := make(stamp)
		s.add(opts.Config, opts.Keyring)
		return new(goceph.Conn), s, nil
	}
	c.shutdown = func(*goceph.Conn) { f.shut.Add(1) }
	return c
}

func (f *fakeLibrados) want(t *testing.T, opened, shut int32) {
	t.Helper()
	synctest.Wait()
	if f.opened.Load() != opened || f.shut.Load() != shut {
		t.Errorf("opened %d and shut down %d, want %d and %d", f.opened.Load(), f.shut.Load(), opened, shut)
	}
}

// radosError is an error as go-ceph gives it.
type radosError int

func (e radosError) Error() string  { return "rados error" }
func (e radosError) ErrorCode() int { return int(e) }

func nothing(*goceph.Conn) (int, error) { return 7, nil }

func TestCallConnectsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLibrados{delay: time.Second}
		c := f.conn(Options{})
		results := make(chan error)
		for _, lane := range []string{"a", "b", "c"} {
			go func() {
				v, err := Call(t.Context(), c, lane, nothing)
				if v != 7 {
					t.Errorf("value %d, want 7", v)
				}
				results <- err
			}()
		}
		for range 3 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		f.want(t, 1, 0)
		c.Close()
		f.want(t, 1, 1)
	})
}

func TestCallSharesFailureToConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLibrados{delay: time.Second, err: ErrNoConnection}
		c := f.conn(Options{})
		for attempt := int32(1); attempt <= 2; attempt++ {
			results := make(chan error)
			for _, lane := range []string{"a", "b"} {
				go func() {
					_, err := Call(t.Context(), c, lane, nothing)
					results <- err
				}()
			}
			for range 2 {
				if err := <-results; !errors.Is(err, ErrNoConnection) {
					t.Errorf("error %v, want ErrNoConnection", err)
				}
			}
			f.want(t, attempt, 0)
		}
	})
}

func TestCallGivesUpWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLibrados{delay: time.Minute}
		c := f.conn(Options{User: "exporter", Config: "/etc/ceph/ceph.conf"})
		for range 3 { // no second attempt beside the one under way
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := Call(ctx, c, "a", nothing)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrNoConnection) {
				t.Errorf("error %v", err)
			}
		}
		f.want(t, 1, 0)
		c.Close()
		time.Sleep(time.Minute)
		f.want(t, 1, 1)
	})
}

func TestCallLeavesHungLaneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLibrados{}
		c := f.conn(Options{})
		release := make(chan struct{})
		var calls atomic.Int32
		hang := func(*goceph.Conn) (int, error) {
			calls.Add(1)
			<-release
			return 0, nil
		}
		call := func(lane string, f func(*goceph.Conn) (int, error)) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := Call(ctx, c, lane, f)
			return err
		}
		if err := call("mon", hang); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want DeadlineExceeded", err)
		}
		for range 3 {
			if err := call("mon", hang); !errors.Is(err, ErrHung) {
				t.Errorf("error %v, want ErrHung", err)
			}
		}
		if err := call("mgr", nothing); err != nil {
			t.Errorf("another lane: %v", err)
		}
		if calls.Load() != 1 {
			t.Errorf("%d calls, want 1", calls.Load())
		}

		c.Close() // the hung call still uses the handle
		f.want(t, 1, 0)
		close(release)
		f.want(t, 1, 1)
		if len(c.lanes) != 0 {
			t.Errorf("%d lanes are left", len(c.lanes))
		}
	})
}

func TestCallTakesLaneAgainAfterHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := (&fakeLibrados{}).conn(Options{})
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _ = Call(ctx, c, "mon", func(*goceph.Conn) (int, error) {
			time.Sleep(3 * time.Second)
			return 0, nil
		})
		time.Sleep(5 * time.Second)
		if _, err := Call(t.Context(), c, "mon", nothing); err != nil {
			t.Error(err)
		}
	})
}

// A call that returns in the moment in which its caller gives up has let the next one in, which does not hang.
func TestCallThatEndedLateHangsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := (&fakeLibrados{}).conn(Options{})
		defer c.Close()
		late, err := c.enter(t.Context(), "mon")
		if err != nil {
			t.Fatal(err)
		}
		number := late.calls
		go func() {
			next, err := c.enter(t.Context(), "mon")
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Second)
			c.leave("mon", next)
		}()
		synctest.Wait()
		c.leave("mon", late)
		synctest.Wait()
		c.abandon(late, number)
		if _, err := Call(t.Context(), c, "mon", nothing); err != nil {
			t.Errorf("behind a call that is well: %v", err)
		}
	})
}

// Two callers of one lane that both are in time: one after the other.
func TestCallWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := (&fakeLibrados{}).conn(Options{})
		defer c.Close()
		var inside atomic.Int32
		results := make(chan error)
		for range 4 {
			go func() {
				_, err := Call(t.Context(), c, "mon", func(*goceph.Conn) (int, error) {
					if inside.Add(1) != 1 {
						t.Error("two calls at a time")
					}
					time.Sleep(time.Second)
					inside.Add(-1)
					return 0, nil
				})
				results <- err
			}()
		}
		for range 4 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if len(c.lanes) != 0 {
			t.Errorf("%d lanes are left", len(c.lanes))
		}
	})
}

func TestCallTurnsPanicIntoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := (&fakeLibrados{}).conn(Options{})
		defer c.Close()
		_, err := Call(t.Context(), c, "mon", func(*goceph.Conn) (int, error) { panic("oops") })
		if err == nil {
			t.Error("no error")
		}
		if _, err := Call(t.Context(), c, "mon", nothing); err != nil {
			t.Errorf("the lane is not free: %v", err)
		}
	})
}

func TestCallConnectsAnewAfterError(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		opened int32
	}{
		"shut down":         {radosError(-108), 2},
		"not permitted":     {radosError(-13), 2},
		"no such thing":     {radosError(-2), 1},
		"OSD out of time":   {radosError(-110), 1},
		"no librados error": {errors.New("other"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeLibrados{}
				c := f.conn(Options{})
				_, err := Call(t.Context(), c, "mon", func(*goceph.Conn) (int, error) { return 0, test.err })
				if !errors.Is(err, test.err) {
					t.Errorf("error %v, want %v", err, test.err)
				}
				if _, err := Call(t.Context(), c, "mon", nothing); err != nil {
					t.Error(err)
				}
				f.want(t, test.opened, test.opened-1)
				c.Close()
			})
		})
	}
}

// A pool that the caps leave out is asked for at every scrape: the connection is made anew for it once a minute.
func TestCallConnectsAnewForCapsOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLibrados{}
		c := f.conn(Options{})
		defer c.Close()
		call := func(err error) {
			_, _ = Call(t.Context(), c, "mon", func(*goceph.Conn) (int, error) { return 0, err })
		}
		for range 8 { // at 0 and 60 s it is retired, and used again at 15 and 75 s
			call(radosError(-1))
			time.Sleep(15 * time.Second)
		}
		f.want(t, 3, 2)
		call(radosError(-108))
		call(radosError(-108))
		f.want(t, 4, 4)
	})
}

// Calls that were under way together count as one.
func TestCallConnectsAnewForCapsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLibrados{}
		c := f.conn(Options{})
		defer c.Close()
		for _, lane := range []string{"a", "b"} {
			go func() {
				_, _ = Call(t.Context(), c, lane, func(*goceph.Conn) (int, error) {
					time.Sleep(time.Second)
					return 0, radosError(-13)
				})
			}()
		}
		time.Sleep(2 * time.Second)
		if _, err := Call(t.Context(), c, "a", nothing); err != nil {
			t.Error(err)
		}
		f.want(t, 2, 1)
	})
}

func TestCallConnectsAnewAfterChange(t *testing.T) {
	dir := t.TempDir()
	opts := Options{Config: filepath.Join(dir, "ceph.conf"), Keyring: filepath.Join(dir, "keyring")}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fakeLibrados{}
		c := f.conn(opts)
		call := func() {
			t.Helper()
			if _, err := Call(t.Context(), c, "mon", nothing); err != nil {
				t.Error(err)
			}
		}
		write(opts.Config, "[global]\n")
		call()
		call()
		f.want(t, 1, 0)
		write(opts.Keyring, "[client.exporter]\n")
		call()
		f.want(t, 2, 1)
		write(opts.Config, "[global]\n\tmon host = 192.0.2.1\n")
		call()
		f.want(t, 3, 2)
		c.Close()
	})
}

// A command that nobody answers is given up, and not asked again before it has returned.
func TestCallSaysLateAndHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := (&fakeLibrados{}).conn(Options{})
		defer c.Close()
		for _, want := range []error{errLate, ErrHung} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := Call(ctx, c, "mon", func(*goceph.Conn) (int, error) {
				time.Sleep(5 * time.Second)
				return 0, nil
			})
			cancel()
			if !errors.Is(err, want) {
				t.Errorf("error %v, want %v", err, want)
			}
		}
		time.Sleep(5 * time.Second)
	})
}

func TestCallAfterClose(t *testing.T) {
	f := &fakeLibrados{}
	c := f.conn(Options{})
	c.Close()
	if _, err := Call(t.Context(), c, "mon", nothing); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

func TestCallAfterDeadline(t *testing.T) {
	f := &fakeLibrados{}
	c := f.conn(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Call(ctx, c, "mon", nothing); !errors.Is(err, context.Canceled) || f.opened.Load() != 0 {
		t.Errorf("error %v, opened %d", err, f.opened.Load())
	}
}
