package guest

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// silent is the storage of a cluster that answers nobody: what is asked waits for its deadline, as the test says when all disks
// have been asked about.
type silent struct {
	control.DiskHost
	asked *sync.WaitGroup
}

func (s silent) wait() error {
	s.asked.Done()
	s.asked.Wait()
	return context.DeadlineExceeded
}

func (s silent) Preview(control.DiskSpec) (control.OpenDisk, []string) {
	return control.OpenDisk{}, nil
}
func (s silent) Close(context.Context, control.DiskSpec) error { return nil }
func (s silent) Look(context.Context, control.DiskSpec) (control.ImageState, error) {
	return control.ImageState{}, s.wait()
}

// A cluster that does not answer is waited for once, however many disks there are.
func TestDisksAtOnce(t *testing.T) {
	h := handler(t, &shelf{})
	r := &Request{RunDir: filepath.Join(h.Root, "run"), Instance: control.Instance{Name: "web1", UUID: "u"}}
	for i := range 8 {
		r.Disks = append(r.Disks, control.DiskSpec{Disk: control.Disk{Template: "silent", Image: "i"}, Index: i})
	}
	payload, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{ActionLook, ActionStop} {
		asked := &sync.WaitGroup{}
		asked.Add(len(r.Disks))
		h.Disks["silent"] = silent{asked: asked}
		got, err := h.Handle(t.Context(), action, payload, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		said := []string{}
		switch answer := got.(type) {
		case *Look:
			for _, d := range answer.Disks {
				said = append(said, d.Problem.Text)
			}
		case *Stopped:
			said = answer.Left
		}
		want := []string{}
		for i := range r.Disks {
			want = append(want, "disk "+string(rune('0'+i))+": context deadline exceeded")
		}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("%s (-want +got):\n%s", action, diff)
		}
	}
}

// A block device that stays keeps a claim of its own, which nobody takes for that of a dead guest.
func TestStopLeavesDevice(t *testing.T) {
	for _, test := range []struct {
		name string
		uuid string
		log  []string
		kept bool
	}{
		{name: "its guest has ended", uuid: "u", log: []string{"close", "release", "claim", "clients k"}, kept: true},
		{name: "its guest runs, from elsewhere", uuid: "alive", log: []string{"close"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &mapper{shelf: shelf{state: control.ImageState{
				Claim: claimOf(t, func(c *control.Claim) { c.UUID = test.uuid }), Mapped: "/dev/shelf0", MappedBy: "k", Watchers: []string{"k"},
			}}}
			h := handler(t, &m.shelf)
			h.Disks["shelf"] = busyMapper{m}
			r := &Request{
				RunDir: filepath.Join(h.Root, "run"), Instance: control.Instance{Name: "web1", UUID: test.uuid},
				Disks: []control.DiskSpec{{Disk: control.Disk{Template: "shelf", Image: "i"}}},
			}
			stopped, err := h.stop(t.Context(), r, func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"disk 0: device is busy"}, stopped.Left); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.log, m.log); diff != "" {
				t.Errorf("done (-want +got):\n%s", diff)
			}
			if c := m.state.Claim; c == nil || c.Devices != test.kept || c.UUID != test.uuid {
				t.Errorf("claim %+v", c)
			}
		})
	}
}

// busyMapper is a mapper whose devices are in use.
type busyMapper struct{ *mapper }

func (b busyMapper) Close(context.Context, control.DiskSpec) error {
	b.log = append(b.log, "close")
	return errors.New("device is busy")
}
