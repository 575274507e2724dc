package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"time"

	"github.com/prometheus/common/version"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/ganeti"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// app is what all commands share.
type app struct {
	config config
	// args are those that the process was started with, to name the command that goes on.
	args     []string
	in       io.Reader
	out, err io.Writer
	// terminalIn, terminalOut and terminalErr tell whether a person is at the other end.
	terminalIn, terminalOut, terminalErr bool
	now                                  func() time.Time

	storage []control.StorageType
	// changeNode plans changes of nodes that have to do with a storage group.
	changeNode nodePlanner
	// listed asks Ganeti's own commands for groups and nodes.
	listed func(ctx context.Context, site *ganeti.Site, runner control.Runner) (control.Cluster, error)

	logFile io.Closer
}

func newApp() *app {
	version.Version = cmp.Or(version.Version, "devel")
	return &app{
		args:        os.Args[1:],
		in:          os.Stdin,
		out:         os.Stdout,
		err:         os.Stderr,
		terminalIn:  isTerminal(os.Stdin),
		terminalOut: isTerminal(os.Stdout),
		terminalErr: isTerminal(os.Stderr),
		now:         time.Now,
		storage:     storageTypes(),
		changeNode:  changeNode,
		listed:      ganeti.Listed,
	}
}

// open returns what plans are made and carried out with. A command that changes things needs its log.
func (a *app) open(changes bool) (*control.Env, error) {
	log, err := a.openLog()
	if err != nil && changes {
		return nil, err
	}
	return a.environment(log)
}

// openLog opens the log of what was run where. Without a file it returns one that keeps nothing.
func (a *app) openLog() (*slog.Logger, error) {
	log := slog.New(slog.DiscardHandler)
	if a.config.LogFile == "" {
		return log, nil
	}
	file, err := os.OpenFile(a.config.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return log, fmt.Errorf("open the log (log.file): %w", err)
	}
	a.logFile = file
	handler := slog.NewJSONHandler(file, &slog.HandlerOptions{Level: a.config.level})
	return slog.New(handler).With("pid", os.Getpid(), "by", userName()), nil
}

func (a *app) close() {
	if a.logFile != nil {
		_ = a.logFile.Close() // what was written is written
	}
}

// command returns what was typed, to be typed again.
func (a *app) command() string {
	typed := slices.DeleteFunc(slices.Clone(a.args), func(arg string) bool { return arg == "--"+unattended })
	return run.Quote(append([]string{program}, typed...))
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// cluster returns the inventory of a command that only reads.
func (a *app) cluster(ctx context.Context) (control.Cluster, *control.Env, error) {
	env, err := a.open(false)
	if err != nil {
		return control.Cluster{}, nil, err
	}
	c, err := env.Inventory.Cluster(ctx)
	return c, env, err
}

// remembered reads the inventory, and what cephctl remembers beside it.
func (a *app) remembered(ctx context.Context) (control.Cluster, *state.State, error) {
	c, env, err := a.cluster(ctx)
	if err != nil {
		return c, nil, err
	}
	st, err := env.Store.Load()
	return c, st, err
}
