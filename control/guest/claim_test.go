package guest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/controltest"
)

// shelf is a storage of one image.
type shelf struct {
	// closes is what comes of closing a disk.
	closes error
	control.DiskHost
	state control.ImageState
	// log is what was done to it.
	log []string
}

func (s *shelf) Redact(text string) string { return strings.ReplaceAll(text, "sesame", "(key)") }

func (s *shelf) Check(context.Context, control.DiskSpec) error { return nil }

func (s *shelf) Look(context.Context, control.DiskSpec) (control.ImageState, error) {
	return s.state, nil
}

func (s *shelf) Watchers(context.Context, control.DiskSpec) (all []string, own string, err error) {
	return s.state.Watchers, s.state.MappedBy, nil
}

func (s *shelf) Claim(_ context.Context, _ control.DiskSpec, holder control.Claim) error {
	if s.state.Claim != nil {
		return control.ErrClaimed
	}
	s.state.Claim = &holder
	s.log = append(s.log, "claim")
	return nil
}

func (s *shelf) Release(_ context.Context, _ control.DiskSpec, token string) error {
	if s.state.Claim != nil && s.state.Claim.Token == token {
		s.state.Claim = nil
		s.log = append(s.log, "release")
	}
	return nil
}

func (s *shelf) Fence(_ context.Context, _ control.DiskSpec, clients []string) error {
	s.log = append(s.log, "fence "+strings.Join(clients, " "))
	s.state.Watchers = slices.DeleteFunc(s.state.Watchers, func(w string) bool { return slices.Contains(clients, w) })
	return nil
}

// handler is a node whose files are in a folder.
func handler(t *testing.T, s *shelf) Handler {
	t.Helper()
	h := Handler{Runner: controltest.NewRunner(t), Disks: map[string]control.DiskHost{"shelf": s}, Root: t.TempDir()}
	for name, content := range map[string]string{
		"etc/machine-id":                 "m1\n",
		"proc/sys/kernel/random/boot_id": "boot2\n",
		"proc/7/stat":                    "7 (ceph ctl)) S 1 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 4711 1 1",
		"proc/7/cmdline":                 "cephctl\x00node-agent\x00",
		"proc/8/stat":                    "8 (qemu) S 1 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 4712 1 1",
		"proc/8/cmdline":                 "qemu-system-x86_64\x00-uuid\x00alive\x00",
		"proc/" + self() + "/stat":       "9 (test) S 1 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 4713 1 1",
		"proc/" + self() + "/cmdline":    "test\x00",
	} {
		path := filepath.Join(h.Root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// self is the process that the test is.
func self() string { return strconv.Itoa(os.Getpid()) }

// claimOf is a claim from this host by a process that is gone, for a guest that is.
func claimOf(t *testing.T, change func(*control.Claim)) *control.Claim {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	c := &control.Claim{Token: "T", Instance: "web9", UUID: "gone", Host: host, Machine: "m1", Boot: "boot2", Agent: "99.1"}
	if change != nil {
		change(c)
	}
	return c
}

func TestIsDead(t *testing.T) {
	mapped := control.ImageState{Mapped: "/dev/shelf0", MappedBy: "k"}
	for _, test := range []struct {
		name   string
		change func(*control.Claim)
		state  control.ImageState
		want   bool
	}{
		{"neither agent nor guest lives", nil, control.ImageState{}, true},
		{"another process has the number now", func(c *control.Claim) { c.Agent = "7.1" }, control.ImageState{}, true},
		{"the agent lives", func(c *control.Claim) { c.Agent = "7.4711" }, control.ImageState{}, false},
		{"the guest lives", func(c *control.Claim) { c.UUID = "alive" }, control.ImageState{}, false},
		{"another boot", func(c *control.Claim) { c.Boot, c.UUID, c.Agent = "boot1", "alive", "7.4711" }, control.ImageState{}, true},
		{"its block device is there", func(c *control.Claim) { c.Devices = true }, mapped, false},
		{"its block device is there, and the same instance wants it", func(c *control.Claim) { c.Devices, c.UUID = true, "u" }, mapped, true},
		{"its block device is there, by somebody else", func(c *control.Claim) { c.Devices = true }, control.ImageState{Mapped: "/dev/shelf0", Foreign: true}, true},
		{"its block device is mounted", nil, control.ImageState{Mapped: "/dev/shelf0", InUse: true}, false},
		{"its block device is gone", func(c *control.Claim) { c.Devices = true }, control.ImageState{}, true},
		{"another host", func(c *control.Claim) { c.Host = "elsewhere" }, control.ImageState{}, false},
		{"a host of the same name", func(c *control.Claim) { c.Machine, c.Boot = "m2", "boot1" }, control.ImageState{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := handler(t, &shelf{})
			r := &Request{RunDir: "/run/cephctl", Instance: control.Instance{UUID: "u"}}
			got, err := h.isDead(r, claimOf(t, test.change), test.state)
			if got != test.want || err != nil {
				t.Errorf("dead: %t, %v, want %t", got, err, test.want)
			}
		})
	}
}

// A node says of a claim that it is dead when another node can keep out what is left of it.
func TestProve(t *testing.T) {
	for _, test := range []struct {
		name  string
		state control.ImageState
		claim func(*control.Claim)
		want  map[string]bool
	}{
		{name: "nothing is left", want: map[string]bool{"T": true}},
		{name: "the guest lives", claim: func(c *control.Claim) { c.UUID = "alive" }, want: map[string]bool{"T": false}},
		{name: "of another host", claim: func(c *control.Claim) { c.Host = "elsewhere" }, want: map[string]bool{}},
		{name: "a block device is left", state: control.ImageState{Mapped: "/dev/shelf0", MappedBy: "k", Clients: []string{"k"}}, want: map[string]bool{"T": true}},
		{name: "one is left that nobody has noted", state: control.ImageState{Mapped: "/dev/shelf0", MappedBy: "k"}, want: map[string]bool{"T": false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &Request{
				RunDir: "/run/cephctl", Claims: []control.Claim{*claimOf(t, test.claim)},
				Disks: []control.DiskSpec{{Disk: control.Disk{Template: "shelf", Image: "i"}}},
			}
			got, err := handler(t, &shelf{state: test.state}).prove(t.Context(), r)
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("dead (-want +got):\n%s%v", diff, err)
			}
		})
	}
}

func TestClaim(t *testing.T) {
	elsewhere := func(c *control.Claim) { c.Host = "elsewhere" }
	for _, test := range []struct {
		name    string
		state   control.ImageState
		request Request
		log     []string
		err     string
	}{
		{name: "free", log: []string{"claim"}},
		{name: "the holder lives", state: control.ImageState{Claim: claimOf(t, func(c *control.Claim) { c.UUID = "alive" })}, err: "is claimed by instance web9"},
		{name: "the holder is dead", state: control.ImageState{Claim: claimOf(t, nil), Clients: []string{"a"}}, log: []string{"fence ", "release", "claim"}},
		{
			name: "the holder is dead, and the cluster has its client still", log: []string{"fence a", "release", "claim"},
			state: control.ImageState{Claim: claimOf(t, nil), Clients: []string{"a", "b"}, Watchers: []string{"a"}},
		},
		{name: "a holder elsewhere", state: control.ImageState{Claim: claimOf(t, elsewhere), Clients: []string{"a"}}, err: "is claimed by instance web9 on elsewhere"},
		{
			name: "the holder is dead, and its block device is still here", log: []string{"fence a", "release", "claim"},
			state: control.ImageState{Claim: claimOf(t, nil), Clients: []string{"a", "k"}, Watchers: []string{"a", "k"}, Mapped: "/dev/shelf0", MappedBy: "k"},
		},
		{
			name: "the holder is dead, and its block device is mounted here", err: "is claimed by instance web",
			state: control.ImageState{Claim: claimOf(t, nil), Clients: []string{"k"}, Watchers: []string{"k"}, Mapped: "/dev/shelf0", MappedBy: "k", InUse: true},
		},
		{
			name: "a holder elsewhere that is to be fenced, and a block device here", request: Request{Fence: []string{"T"}}, log: []string{"fence a", "release", "claim"},
			state: control.ImageState{Claim: claimOf(t, elsewhere), Clients: []string{"a"}, Watchers: []string{"k"}, Mapped: "/dev/shelf0", MappedBy: "k"},
		},
		{
			name: "a holder elsewhere that its node says is dead, and whose block device may come back", request: Request{Dead: []string{"T"}}, log: []string{"fence a", "release", "claim"},
			state: control.ImageState{Claim: claimOf(t, elsewhere), Clients: []string{"a"}},
		},
		{
			name: "a holder elsewhere that is to be fenced", request: Request{Fence: []string{"T"}}, log: []string{"fence a b", "release", "claim"},
			state: control.ImageState{Claim: claimOf(t, elsewhere), Clients: []string{"a", "b"}},
		},
		{
			name: "a client that is to be fenced and is back", request: Request{Fence: []string{"T"}}, err: "client a, which was gone, is there again",
			state: control.ImageState{Claim: claimOf(t, elsewhere), Clients: []string{"a"}, Watchers: []string{"a"}},
		},
		{
			name: "clients that nobody knows", request: Request{Fence: []string{"T"}}, err: "the clients of the claim are not known",
			state: control.ImageState{Claim: claimOf(t, elsewhere)},
		},
		{
			name: "consent to another claim", request: Request{Fence: []string{"other"}}, err: "is claimed by instance web9 on elsewhere",
			state: control.ImageState{Claim: claimOf(t, elsewhere), Clients: []string{"a"}},
		},
		{name: "mapped here", state: control.ImageState{Watchers: []string{"k"}, MappedBy: "k"}, log: []string{"claim"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &shelf{state: test.state}
			r := test.request
			r.RunDir, r.Instance = "/run/cephctl", control.Instance{Name: "web1", UUID: "u"}
			err := handler(t, s).claim(t.Context(), &r, control.DiskSpec{Disk: control.Disk{Template: "shelf", Image: "i"}}, control.Claim{Token: "mine"})
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if diff := cmp.Diff(test.log, s.log); diff != "" {
				t.Errorf("done (-want +got):\n%s", diff)
			}
			if strings.HasPrefix(test.err, "is claimed") != errors.Is(err, control.ErrClaimed) {
				t.Errorf("error %v is ErrClaimed: %t", err, errors.Is(err, control.ErrClaimed))
			}
		})
	}
}

// overtaken is a shelf where somebody else takes the claim over while it is looked at.
type overtaken struct{ *shelf }

func (o overtaken) Look(ctx context.Context, d control.DiskSpec) (control.ImageState, error) {
	state, err := o.shelf.Look(ctx, d)
	state.Clients = []string{"the winner's"}
	o.state.Claim = &control.Claim{Token: "faster", Instance: "web2", Host: "node2"}
	return state, err
}

// Who is faster keeps its clients, also where they are taken for those of the claim that both take away.
func TestClaimLost(t *testing.T) {
	s := &shelf{state: control.ImageState{Claim: claimOf(t, func(c *control.Claim) { c.Host = "elsewhere" })}}
	h := handler(t, s)
	h.Disks["shelf"] = overtaken{s}
	r := &Request{RunDir: "/run/cephctl", Instance: control.Instance{Name: "web1"}, Dead: []string{"T"}}
	err := h.claim(t.Context(), r, control.DiskSpec{Disk: control.Disk{Template: "shelf", Image: "i"}}, control.Claim{Token: "mine"})
	if !errors.Is(err, control.ErrClaimed) || !strings.Contains(err.Error(), "instance web2 on node2") {
		t.Errorf("error %v", err)
	}
	if len(s.log) > 0 {
		t.Errorf("done: %v", s.log)
	}
}

// Who has the image open without a claim is not written over: the claim is given back.
func TestClaimOfAnOpenImage(t *testing.T) {
	s := &shelf{state: control.ImageState{Watchers: []string{"ganeti"}}}
	h := handler(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &Request{RunDir: "/run/cephctl", Instance: control.Instance{Name: "web1"}}
	err := h.claim(ctx, r, control.DiskSpec{Disk: control.Disk{Template: "shelf", Image: "i"}}, control.Claim{Token: "mine"})
	if err == nil || !strings.Contains(err.Error(), "open elsewhere, by client ganeti") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff([]string{"claim", "release"}, s.log); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
}
