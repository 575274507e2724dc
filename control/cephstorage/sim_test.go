package cephstorage

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/local"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
)

// sim is a simulated cluster: nodes with their daemons and disks, and what the mons would say of them. Commands and
// agents change it as the real ones would. What runs is kept on the nodes only, so that mons, quorum, mgrs and OSDs that
// are up always follow from it.
type sim struct {
	t    testing.TB
	root string
	mu   sync.Mutex
	// settle is how long what is waited for may take, or nothing for a minute.
	settle time.Duration

	nodes  map[string]*simNode
	fsid   string
	mons   []simMon
	osds   []*simOSD
	pools  []*simPool
	rules  []simRule
	config map[string]string
	keys   map[string]string
	images map[string][]string
	// extra are health checks beyond those that follow from what runs.
	extra map[string]check
	flags []string
	// hosts are the host buckets of the CRUSH map.
	hosts []string
	// moving is how often one has to ask until data that is on its way has arrived.
	moving int
	full   float64

	store *simStore
	env   *control.Env

	// dieAt is the change before which the process dies, counted from 1; 0 for never.
	dieAt, changes int
	dead           bool
	cancel         context.CancelFunc
	// ran are the commands that were run.
	ran []string
	// intercept, when set, sees a command line first, and answers it when ok.
	intercept func(line string) (out string, err error, ok bool) //nolint:revive // the error comes before ok
}

type simMon struct{ Name, Addresses string }

type simOSD struct {
	ID        int
	UUID      string
	Host      string
	Class     string
	Weight    float64
	Destroyed bool
	booted    bool
}

type simPool struct {
	ID            int
	Name          string
	Size, MinSize int
	Rule          int
	Apps          []string
	Erasure       bool
}

type simRule struct {
	ID           int
	Name, Domain string
	Class        string
}

// errDead is what everything answers once the process is dead.
var errDead = errors.New("the process is dead")

// change counts a change, and tells whether the process has died before it.
func (s *sim) change() error {
	if s.dead {
		return errDead
	}
	if s.changes++; s.changes == s.dieAt {
		s.kill()
		return errDead
	}
	return nil
}

// kill also ends what the process waits for.
func (s *sim) kill() {
	s.dead = true
	if s.cancel != nil {
		s.cancel()
	}
}

// die ends the process, as kill -9 does: nothing that it does afterwards has an effect.
func (s *sim) die() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

// revive lets a new process begin.
func (s *sim) revive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead, s.dieAt, s.changes = false, 0, 0
	s.env.Points = nil
}

// simStore is a store that a dead process does not write to.
type simStore struct {
	controltest.Store
	sim *sim
}

func (s *simStore) Update(change func(*state.State) error) error {
	s.sim.mu.Lock()
	err := s.sim.change()
	s.sim.mu.Unlock()
	if err != nil {
		return err
	}
	return s.Store.Update(change)
}

// newSim returns nodes node1 to nodeN in group default, without a cluster, of which node1 is the master.
func newSim(t testing.TB, nodes int, options map[string][]string) *sim {
	s := &sim{
		t: t, root: t.TempDir(), nodes: map[string]*simNode{}, config: map[string]string{}, keys: map[string]string{},
		images: map[string][]string{}, extra: map[string]check{}, full: 0.1,
	}
	s.store = &simStore{sim: s}
	inventory := local.New(s.store, "node1")
	s.locked(func() error { return inventory.AddGroup(context.Background(), "compute") })
	s.env = &control.Env{
		Inventory: inventory, Transport: simTransport{s}, Runner: simRunner{s}, Store: s.store,
		Log: slog.New(slog.DiscardHandler), Version: "test", Parallel: 1,
	}
	if options == nil {
		options = map[string][]string{OptionDisk: {"/dev/sdb"}, OptionOSDBackend: {"raw"}}
	}
	s.locked(func() error {
		return s.store.Update(func(st *state.State) error {
			st.Storage[Name] = &state.Storage{Options: options}
			return nil
		})
	})
	for i := range nodes {
		s.newNode(i + 1)
	}
	return s
}

// newNode adds a node to the inventory.
func (s *sim) newNode(number int) {
	n := s.hardware(number)
	s.locked(func() error { return s.env.Inventory.AddNode(context.Background(), n) })
}

// compute puts nodes into a group of their own.
func (s *sim) compute(numbers ...int) {
	for _, number := range numbers {
		n := s.hardware(number)
		n.Group = "compute"
		s.locked(func() error { return s.env.Inventory.AddNode(context.Background(), n) })
	}
}

// addInstance adds an instance with a disk in the storage cluster.
func (s *sim) addInstance(name, on string) {
	disk := control.Disk{Template: TemplateName, Image: "i", Where: map[string]string{ParamPool: "rbd"}}
	s.locked(func() error {
		return s.env.Inventory.(control.InstanceInventory).AddInstance(context.Background(), control.Instance{Name: name, Node: on, MemoryBytes: 30 << 30, Disks: []control.Disk{disk}})
	})
}

// spare adds node5, in a group that has nothing to do with the storage cluster.
func (s *sim) spare() {
	n := s.hardware(5)
	n.Group = "spare"
	s.locked(func() error {
		return errors.Join(s.env.Inventory.AddGroup(context.Background(), n.Group), s.env.Inventory.AddNode(context.Background(), n))
	})
}

func (s *sim) locked(change func() error) {
	s.t.Helper()
	release, err := s.store.Lock(context.Background(), "the test's own")
	if err == nil {
		err = change()
		release()
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *sim) storage() *Storage {
	st := New(s.env)
	st.Root, st.Poll, st.Settle = s.root, time.Microsecond, cmp.Or(s.settle, time.Minute)
	return st
}

// path is where a file of the master is.
func (s *sim) path(name string) string { return filepath.Join(s.root, name) }

// quietUI agrees to everything.
type quietUI struct{}

func (quietUI) Consent(context.Context, *control.Plan) error { return nil }
func (quietUI) Resuming(*state.Operation)                    {}
func (quietUI) Started(*control.Plan, *control.Step)         {}
func (quietUI) Progress(*control.Step, string)               {}
func (quietUI) Finished(*control.Step, error)                {}
func (s *sim) try(change control.Change) (*control.Plan, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	return s.env.Execute(ctx, change, quietUI{})
}

// killedAfter carries out a change that is killed when a step has taken effect.
func (s *sim) killedAfter(step string, change control.Change) {
	s.t.Helper()
	s.env.Points = func(where, at string) {
		if where == "effect" && at == step {
			s.die()
		}
	}
	if _, err := s.try(change); err == nil {
		s.t.Fatal("it was not interrupted")
	}
	s.revive()
}

// must carries out a change to its end.
func (s *sim) must(change control.Change) *control.Plan {
	s.t.Helper()
	plan, err := s.try(change)
	if err != nil {
		if plan != nil {
			for _, b := range plan.Blockers {
				s.t.Log("blocker: " + b.String())
			}
		}
		s.t.Fatalf("%s: %v", change.Command, err)
	}
	return plan
}

// nothing wants a change to have no steps.
func (s *sim) nothing(change control.Change) {
	s.t.Helper()
	if plan := s.must(change); len(plan.Steps) > 0 {
		s.t.Errorf("%s again: want nothing to do, got %q", change.Command, titles(plan))
	}
}

func titles(plan *control.Plan) []string {
	var out []string
	for _, step := range plan.Steps {
		out = append(out, step.Node+": "+step.Title)
	}
	return out
}

func (s *sim) init() control.Change { return s.storage().Init("default", "cephctl storage init") }
func (s *sim) readd(n string) control.Change {
	return s.storage().Readd(n, "cephctl node add --readd "+n)
}

func (s *sim) offline(n string) control.Change {
	return s.storage().Offline(n, "cephctl node modify --offline=yes "+n, OfflineOptions{})
}

func (s *sim) add(number int) control.Change {
	n := s.nodes[nodeName(number)]
	if n == nil {
		s.hardware(number)
	}
	return s.storage().AddNode(s.inventoryNode(number), nil, "cephctl node add "+nodeName(number))
}

func (s *sim) load() *state.State {
	s.t.Helper()
	st, err := s.store.Load()
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// quorum returns the mons that are in quorum, or none when they are too few.
func (s *sim) quorum() []string {
	var in []string
	for _, m := range s.mons {
		if s.isUp("mon." + m.Name) {
			in = append(in, m.Name)
		}
	}
	if len(in)*2 <= len(s.mons) {
		return nil
	}
	return in
}

func (s *sim) mgrs() []string {
	var out []string
	for _, n := range s.sorted() {
		if s.isUp("mgr." + n.Host) {
			out = append(out, n.Host)
		}
	}
	return out
}

func (s *sim) isUp(daemon string) bool {
	for _, n := range s.nodes {
		if d := n.Daemons[daemon]; d != nil && d.Active && !n.down {
			return true
		}
	}
	return false
}

func (s *sim) osd(id int) *simOSD {
	i := slices.IndexFunc(s.osds, func(o *simOSD) bool { return o.ID == id })
	if i < 0 {
		return nil
	}
	return s.osds[i]
}

func (s *sim) pool(name string) *simPool {
	i := slices.IndexFunc(s.pools, func(p *simPool) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return s.pools[i]
}

func (s *sim) isHostRule(id int) bool {
	i := slices.IndexFunc(s.rules, func(r simRule) bool { return r.ID == id })
	return i < 0 || s.rules[i].Domain == "host"
}

// places counts the failure domains that can hold a copy, without some OSDs.
func (s *sim) places(rule int, without []int) int {
	var places []string
	class := ""
	for _, r := range s.rules {
		if r.ID == rule {
			class = r.Class
		}
	}
	for _, o := range s.osds {
		if class != "" && o.Class != class {
			continue
		}
		if o.Weight == 0 || slices.Contains(without, o.ID) || !s.isUp(osdName(o.ID)) {
			continue
		}
		place := o.Host
		if !s.isHostRule(rule) {
			place = osdName(o.ID)
		}
		if !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	return len(places)
}

// pgStates counts the placement groups, eight a pool, by their state.
func (s *sim) pgStates() map[string]int {
	states := map[string]int{}
	for _, p := range s.pools {
		state := "active+clean"
		switch n := s.places(p.Rule, nil); {
		case n == 0:
			state = "unknown"
		case n < p.MinSize:
			state = "undersized+degraded+peered"
		case n < p.Size:
			state = "active+undersized+degraded"
		case s.moving > 0:
			state = "active+remapped+backfilling"
		}
		states[state] += 8
	}
	return states
}

func (s *sim) allClean() bool {
	for state := range s.pgStates() {
		if state != "active+clean" {
			return false
		}
	}
	return true
}

// checks are the health checks.
func (s *sim) checks() map[string]check {
	out := map[string]check{}
	add := func(name, message string) {
		c := check{Severity: "HEALTH_WARN"}
		c.Summary.Message = message
		out[name] = c
	}
	if len(s.quorum()) < len(s.mons) {
		add("MON_DOWN", "a mon is not in quorum")
	}
	for _, o := range s.osds {
		if o.Weight > 0 && o.booted && !s.isUp(osdName(o.ID)) {
			add("OSD_DOWN", "an OSD is down")
		}
	}
	for state := range s.pgStates() {
		if state != "active+clean" && state != "active+remapped+backfilling" {
			add("PG_DEGRADED", "Degraded data redundancy")
		}
	}
	for name, c := range s.extra {
		out[name] = c
	}
	return out
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
