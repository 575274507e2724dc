package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// ActionObserve is the action that changes nothing, so that it needs no lock.
	ActionObserve = "observe"
	// DefaultLock is the lock of all actions that change something on a node.
	DefaultLock = "/run/cephctl/agent.lock"

	requestLimit   = 16 << 20
	requestTimeout = 30 * time.Second
	lockTimeout    = 60 * time.Second
)

// Handler does what a node is asked for.
type Handler interface {
	// Handle does it and returns what becomes the data of the result, or the error that is told. It may call progress
	// from several goroutines.
	Handle(ctx context.Context, action string, payload json.RawMessage, progress func(string)) (any, error)
}

// Locker is a handler with locks of its own: its actions wait for each other and not for those of other handlers.
type Locker interface {
	// Lock returns the path of an action's lock, or nothing for one that needs none.
	Lock(action string, payload json.RawMessage) string
}

// Options are what Serve needs to know.
type Options struct {
	// Version is that of this cephctl, Host the name of this host.
	Version string
	Host    string
	// Handlers are those of the storage types, by their name; cephctl's own is "".
	Handlers map[string]Handler
	// Attach, when set, is given what tells the master of a command that is run: for run.Runner's OnRun.
	Attach func(onRun func(line string))
	// Log, when set, gets what is of no use to the master, such as the stack of a panic.
	Log *slog.Logger
	// Lock is the path of the lock; DefaultLock when empty.
	Lock string
	// LockTimeout is how long an action waits for the one before it; 60 s when 0.
	LockTimeout time.Duration
	// RequestTimeout is how long the request may take to come; 30 s when 0.
	RequestTimeout time.Duration
}

// Serve answers exactly one request. It returns the error that it has told the master.
func Serve(ctx context.Context, in io.Reader, out io.Writer, options Options) error {
	defer surviveMaster()()
	w := newWriter(out)
	w.write(Event{Kind: KindHello, Version: options.Version, Protocol: Protocol, Host: options.Host})
	data, err := options.withDefaults().serve(ctx, in, w)
	if err != nil {
		w.last(Event{Kind: KindError, Text: err.Error()})
		return err
	}
	w.last(Event{Kind: KindResult, Data: data})
	return nil
}

// surviveMaster makes the process live on when the master is gone: Go ends a program that writes to a broken standard
// output, unless somebody is notified. (Ignoring the signals would be inherited by the commands that are run.)
func surviveMaster() (undo func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGPIPE, syscall.SIGHUP)
	return func() { signal.Stop(signals) }
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Lock == "" {
		o.Lock = DefaultLock
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = lockTimeout
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = requestTimeout
	}
	return o
}

func (o Options) serve(ctx context.Context, in io.Reader, w *writer) (json.RawMessage, error) {
	request, err := o.receive(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := o.accept(request); err != nil {
		return nil, err
	}
	handler, ok := o.Handlers[request.Storage]
	if !ok {
		return nil, o.unknownStorage(request.Storage)
	}
	if o.Attach != nil {
		o.Attach(w.run)
	}
	if path := o.lockOf(handler, request); path != "" {
		release, err := o.lock(ctx, path, request, w.progress)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	return o.handle(ctx, handler, request, w.progress)
}

// lockOf returns the path of the lock of an action, or nothing for one that changes nothing.
func (o Options) lockOf(handler Handler, r Request) string {
	if own, ok := handler.(Locker); ok {
		return own.Lock(r.Action, r.Payload)
	}
	if r.Action == ActionObserve {
		return ""
	}
	return o.Lock
}

// accept refuses a master that might mean something else than this agent would do.
func (o Options) accept(r Request) error {
	const cure = "install the same version on both"
	if r.Protocol != Protocol {
		return fmt.Errorf("%s speaks protocol %d (cephctl %s), the master %d (cephctl %s): %s",
			o.Host, Protocol, o.Version, r.Protocol, r.Version, cure)
	}
	if r.Version != o.Version {
		return fmt.Errorf("%s has cephctl %s, the master %s: %s", o.Host, o.Version, r.Version, cure)
	}
	return nil
}

func (o Options) unknownStorage(name string) error {
	var known []string
	for storage := range o.Handlers {
		if storage != "" {
			known = append(known, storage)
		}
	}
	slices.Sort(known)
	return fmt.Errorf("storage type %q is unknown here: known are %s", name, strings.Join(known, ", "))
}

// handle returns a handler's panic as its error.
func (o Options) handle(ctx context.Context, h Handler, r Request, progress func(string)) (data json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			o.Log.Error("agent panicked", "action", r.Action, "panic", p, "stack", string(debug.Stack()))
			data, err = nil, fmt.Errorf("%s: panic: %v (a mistake in cephctl: please report it)", r.Action, p)
		}
	}()
	result, err := h.Handle(ctx, r.Action, r.Payload, progress)
	if err != nil {
		return nil, err
	}
	data, err = json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encode result of %s: %w", r.Action, err)
	}
	return data, nil
}

var errNoRequest = errors.New("no request has come on standard input: cephctl on the master runs this, people do not")
