// Package loopcheck judges the loopback risk of nodes on demand: each node says what it knows of itself, the master adds
// what only the cluster knows.
package loopcheck

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// Query is what a node is asked.
type Query struct {
	// Watch is how long requests that are in flight are watched. What is stuck shows only with time.
	Watch time.Duration `json:"watch_ns,omitempty"`
}

// Facts are what a node says of itself.
type Facts struct {
	Host     string             `json:"host"`
	Node     loopback.Node      `json:"node"`
	Mappings []loopback.Mapping `json:"mappings"`
	// Missing says why a source is not known.
	Missing map[loopback.Source]string `json:"missing,omitempty"`
	// sharesOf is the cluster that the shares of the node are of.
	sharesOf string
}

// Host reads the facts of this host. The zero value of its options stands for the usual places.
type Host struct {
	Name   string
	Reader loopback.Options
	// GanetiRun is Ganeti's run directory; /var/run/ganeti when empty.
	GanetiRun string
}

var _ agent.Handler = Host{}

// Handle answers agent.ActionObserve, with a Query.
func (h Host) Handle(ctx context.Context, action string, payload json.RawMessage, _ func(string)) (any, error) {
	if action != agent.ActionObserve {
		return nil, fmt.Errorf("unknown action %q: known is %s", action, agent.ActionObserve)
	}
	var q Query
	if len(payload) > 0 {
		if err := json.Unmarshal(payload, &q); err != nil {
			return nil, fmt.Errorf("read payload: %w", err)
		}
	}
	return h.Observe(ctx, q)
}

// Name is what a request to a node names this part by.
const Name = "loopback"

// watchEvery is how often requests are looked at while they are watched.
const watchEvery = time.Second

// Observe reads the facts.
func (h Host) Observe(ctx context.Context, q Query) (Facts, error) {
	options := h.Reader
	options.AskOSDs = true
	reader := loopback.NewReader(options)
	read := reader.Read(ctx)
	for end := time.Now().Add(q.Watch); inFlight(read.Mappings) && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return Facts{}, fmt.Errorf("watch requests: %w", context.Cause(ctx))
		case <-time.After(watchEvery):
		}
		read = reader.Read(ctx)
	}
	f := Facts{Host: h.Name, Node: read.Node, Mappings: read.Mappings}
	for source, err := range read.Missing {
		f.miss(source, err)
	}
	return f, h.addInstances(&f)
}

func inFlight(mappings []loopback.Mapping) bool {
	for i := range mappings {
		if mappings[i].InFlight > 0 {
			return true
		}
	}
	return false
}

// addInstances says which instances of Ganeti the devices are of.
func (h Host) addInstances(f *Facts) error {
	run := h.GanetiRun
	if run == "" {
		run = "/var/run/ganeti"
	}
	links, err := kvm.DiskLinks(run)
	if err != nil {
		return err
	}
	for i := range f.Mappings {
		link := links[f.Mappings[i].Device]
		f.Mappings[i].Instance, f.Mappings[i].Disk = link.Instance, link.Disk
	}
	return nil
}

func (f *Facts) miss(source loopback.Source, err error) {
	if f.Missing == nil {
		f.Missing = map[loopback.Source]string{}
	}
	f.Missing[source] = err.Error()
}
