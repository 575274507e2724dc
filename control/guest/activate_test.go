package guest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// mapper is a shelf that the kernel of this node maps, up to a number of disks.
type mapper struct {
	shelf
	most int
}

func (m *mapper) Open(ctx context.Context, d control.DiskSpec) (control.OpenDisk, error) {
	if m.most--; m.most < 0 {
		return control.OpenDisk{}, errors.New("no more devices")
	}
	open, err := m.shelf.Open(ctx, d)
	m.state.Mapped, m.state.MappedBy = open.Mapped, "k"
	m.state.Watchers = append(m.state.Watchers, "k")
	return open, err
}

func (m *mapper) Close(ctx context.Context, d control.DiskSpec) error {
	m.state.Mapped, m.state.MappedBy, m.state.Watchers = "", "", nil
	return m.shelf.Close(ctx, d)
}

func (m *mapper) Opened(_ context.Context, _ control.DiskSpec, clients []string) error {
	m.log = append(m.log, "clients "+strings.Join(clients, " "))
	return nil
}

// asDevice makes a claim one for a block device alone, of the instance of the tests.
func asDevice(c *control.Claim) { c.UUID, c.Devices = "", true }

// A block device is claimed until it is taken away, unless the guest that runs here has the claim.
func TestActivate(t *testing.T) {
	for _, test := range []struct {
		name  string
		uuid  string
		state control.ImageState
		most  int
		log   []string
		err   string
		held  bool
	}{
		{name: "stopped", most: 1, log: []string{"claim", "open", "clients k"}, held: true},
		{
			name: "it runs here", uuid: "alive", most: 1, held: true,
			state: control.ImageState{Claim: claimOf(t, func(c *control.Claim) { c.UUID = "alive" }), Watchers: []string{"q", "stranger"}}, log: []string{"open", "clients k"},
		},
		{
			name: "a guest of another instance lives", most: 1, held: true, err: "is claimed by instance web9",
			state: control.ImageState{Claim: claimOf(t, func(c *control.Claim) { c.UUID = "alive" })},
		},
		{
			name: "it is mapped and claimed", held: true,
			state: control.ImageState{Claim: claimOf(t, asDevice), Mapped: "/dev/shelf0", MappedBy: "k", Watchers: []string{"k"}},
		},
		{
			name: "it is mapped and nobody claims it", most: 1, held: true, log: []string{"claim", "open", "clients k"},
			state: control.ImageState{Mapped: "/dev/shelf0", MappedBy: "k", Watchers: []string{"k"}},
		},
		{
			name: "its guest was killed", most: 1, held: true, log: []string{"fence ", "release", "claim", "open", "clients k"},
			state: control.ImageState{Claim: claimOf(t, func(c *control.Claim) { c.UUID = "" }), Mapped: "/dev/shelf0", MappedBy: "k", Watchers: []string{"k"}},
		},
		{
			name: "its client was kept out", most: 1, held: true, log: []string{"fence ", "release", "claim", "open", "clients k"},
			state: control.ImageState{Claim: claimOf(t, asDevice), Mapped: "/dev/shelf0", MappedBy: "k"},
		},
		{
			name: "the guest has lost it", uuid: "alive", most: 1, held: true, err: "has lost image i, as its claim was taken away",
			state: control.ImageState{Claim: claimOf(t, func(c *control.Claim) { c.Host = "elsewhere" })},
		},
		{name: "the kernel does not", err: "no more devices", log: []string{"claim", "close", "release"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &mapper{shelf: shelf{state: test.state}, most: test.most}
			h := handler(t, &m.shelf)
			h.Disks["shelf"] = m
			r := &Request{
				RunDir: "/run/cephctl", Instance: control.Instance{Name: "web1", UUID: test.uuid},
				Disks: []control.DiskSpec{{Disk: control.Disk{Template: "shelf", Image: "i"}}},
			}
			payload, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := h.Handle(t.Context(), ActionActivate, payload, nil)
			if test.err == "" && err != nil || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if devices, _ := got.([]string); test.err == "" && cmp.Diff([]string{"/dev/shelf0"}, devices) != "" {
				t.Errorf("devices %v", got)
			}
			if diff := cmp.Diff(test.log, m.log); diff != "" {
				t.Errorf("done (-want +got):\n%s", diff)
			}
			if held := m.state.Claim != nil; held != test.held {
				t.Errorf("claimed: %t, want %t", held, test.held)
			}
			if test.name != "stopped" {
				return
			}
			if _, err := h.Handle(t.Context(), ActionDeactivate, payload, nil); err != nil || m.state.Claim != nil || m.state.Mapped != "" {
				t.Errorf("taken away: %v, and there is %+v", err, m.state)
			}
		})
	}
}

// An image that nobody has open after a start is one that the guest does not reach.
func TestRememberDisk(t *testing.T) {
	m := &mapper{}
	h := handler(t, &m.shelf)
	err := h.rememberDisk(t.Context(), m, control.DiskSpec{Disk: control.Disk{Image: "i"}})
	if err == nil || len(m.log) > 0 {
		t.Errorf("error %v, done %v", err, m.log)
	}
}
