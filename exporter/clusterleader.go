package exporter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/cluster"
)

// ClusterMode says when a node collects what is of the whole cluster.
type ClusterMode string

// The modes. All nodes but one leave the cluster to that one with ClusterAuto, which needs the mons on the nodes.
const (
	// ClusterAuto collects on the node whose own mon leads the quorum.
	ClusterAuto ClusterMode = "auto"
	// ClusterAlways collects whoever leads.
	ClusterAlways ClusterMode = "always"
	// ClusterNever does not collect.
	ClusterNever ClusterMode = "never"
)

// LeaderCheck tells whether this node is the one that collects what is of the whole cluster. It asks the mons of
// this node through their admin sockets.
type LeaderCheck struct {
	Mode ClusterMode
	// CephRun is where the admin sockets are.
	CephRun string
	Caller  DaemonCaller
	// answer is set in a check whose copies share it.
	answer *sharedAnswer
}

// Shared returns a check whose copies share one answer for as long as a scrape may need it: however many collectors
// ask, the mons are asked once. An error is not shared.
func (l LeaderCheck) Shared() LeaderCheck {
	l.answer = &sharedAnswer{turn: make(chan struct{}, 1)}
	return l
}

// answerHolds is how long an answer is shared: longer than collectors of one scrape are apart, shorter than scrapes are.
const answerHolds = time.Second

type sharedAnswer struct {
	// turn holds a value while somebody asks.
	turn   chan struct{}
	at     time.Time
	leads  bool
	reason string
}

// The reasons that Leads gives.
const (
	reasonLeader = "leader" // a mon of this node leads the quorum
	reasonPeon   = "peon"   // this node's mons do not lead
	reasonNoMon  = "no_mon" // no mon on this node answers
	reasonAlways = "always" // mode
	reasonNever  = "never"  // mode
)

// Leads returns whether this node collects, and why. When no mon leads and some did not answer, the error says so.
func (l LeaderCheck) Leads(ctx context.Context) (leads bool, reason string, err error) {
	switch l.Mode {
	case ClusterAlways:
		return true, reasonAlways, nil
	case ClusterNever:
		return false, reasonNever, nil
	}
	if l.answer == nil {
		return l.ask(ctx)
	}
	return l.answer.get(ctx, l.ask)
}

// get returns the answer that is there, or asks for a new one.
func (a *sharedAnswer) get(ctx context.Context, ask func(context.Context) (bool, string, error)) (leads bool, reason string, err error) {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return false, reasonNoMon, fmt.Errorf("wait for who leads: %w", ctx.Err())
	}
	if !a.at.IsZero() && time.Since(a.at) < answerHolds {
		return a.leads, a.reason, nil
	}
	leads, reason, err = ask(ctx)
	if err == nil {
		a.at, a.leads, a.reason = time.Now(), leads, reason
	}
	return leads, reason, err
}

func (l LeaderCheck) ask(ctx context.Context) (leads bool, reason string, err error) {
	sockets, err := adminsocket.Find(l.CephRun)
	errs := []error{err}
	states := l.askMons(ctx, sockets)
	reason = reasonNoMon
	for range cap(states) {
		s := <-states
		switch {
		case gone(s.err):
		case s.err != nil:
			errs = append(errs, s.err)
		case s.state == "leader":
			return true, reasonLeader, nil
		default:
			reason = reasonPeon
		}
	}
	return false, reason, errors.Join(errs...)
}

// gone tells whether the mon is not running: its socket is a leftover, or vanished meanwhile.
func gone(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

type monState struct {
	state string
	err   error
}

// askMons asks all mons at once, so that one that hangs does not keep the leader from being found.
func (l LeaderCheck) askMons(ctx context.Context, sockets []adminsocket.Socket) <-chan monState {
	var mons []adminsocket.Socket
	for _, s := range sockets {
		if s.Type == "mon" {
			mons = append(mons, s)
		}
	}
	states := make(chan monState, len(mons))
	for _, m := range mons {
		go func() {
			state, err := l.askMon(ctx, m)
			states <- monState{state, err}
		}()
	}
	return states
}

func (l LeaderCheck) askMon(ctx context.Context, s adminsocket.Socket) (string, error) {
	reply, err := l.Caller.Call(ctx, s.Path, adminsocket.MonStatus, nil)
	if err != nil {
		return "", err
	}
	mon, err := cluster.ParseMonState(reply.Data)
	if err != nil {
		return "", fmt.Errorf("read mon_status of %s: %w", s.Path, err)
	}
	return mon.State, nil
}

// verdict is the answer of a LeaderCheck that all targets of one scrape share.
type verdict struct {
	check  LeaderCheck
	once   sync.Once
	leads  bool
	reason string
	err    error
}

func (v *verdict) get(ctx context.Context) (leads bool, reason string, err error) {
	v.once.Do(func() { v.leads, v.reason, v.err = v.check.Leads(ctx) })
	return v.leads, v.reason, v.err
}
