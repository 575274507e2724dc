package guest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/guestdisk"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// locked is a shelf that says why nothing can be opened, or what may come of it.
type locked struct {
	shelf
	check, look error
	risk        *control.DiskRisk
	image       string
}

func (l *locked) Check(context.Context, control.DiskSpec) error { return l.check }

func (l *locked) Look(_ context.Context, d control.DiskSpec) (control.ImageState, error) {
	l.image = d.Image
	return control.ImageState{}, l.look
}

func (l *locked) Risk(context.Context, control.DiskSpec) (*control.DiskRisk, error) {
	return l.risk, nil
}

// TestCheck tells what keeps disks from being opened, or what may come of it, whatever there is of their images.
func TestCheck(t *testing.T) {
	lack := &control.DiskError{Case: "disk-no-key", Text: "can't log in", Cure: "place its key"}
	told := []control.Blocker{{Node: "node2", Case: "disk-no-key", Text: "disk 0: can't log in", Cure: "place its key"}}
	none := []control.Blocker{}
	risk := control.DiskRisk{Level: 3, Text: "may hang", Cures: []string{}}
	silent := &control.DiskError{Case: guestdisk.CaseNoAnswer, Text: "the cluster does not answer", Cure: "see"}
	for name, c := range map[string]struct {
		disks *locked
		want  Check
	}{
		"well":       {&locked{}, Check{none, []control.DiskRisk{}, none}},
		"no conf":    {&locked{check: lack}, Check{told, []control.DiskRisk{}, none}},
		"no key":     {&locked{look: lack}, Check{told, []control.DiskRisk{}, none}},
		"with risks": {&locked{risk: &risk}, Check{none, []control.DiskRisk{risk}, none}},
		"no answer": {&locked{look: silent}, Check{none, []control.DiskRisk{}, []control.Blocker{
			{Node: "node2", Case: "disk-no-answer", Text: "disk 0: the cluster does not answer", Cure: "see"},
		}}},
		"who knows": {&locked{look: errors.New("no space left")}, Check{none, []control.DiskRisk{}, []control.Blocker{
			{Node: "node2", Case: CaseDisk, Text: "disk 0: no space left"},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := Handler{Disks: map[string]control.DiskHost{"shelf": c.disks}}
			payload, err := json.Marshal(Request{
				Instance: control.Instance{Name: "web1", Node: "node2"}, Disks: []control.DiskSpec{{Disk: control.Disk{Template: "shelf", Image: "i"}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := h.Handle(t.Context(), ActionCheck, payload, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Errorf("check (-want +got):\n%s", diff)
			}
			if c.disks.check == nil && c.disks.image == "i" {
				t.Error("looked at the image itself")
			}
			if lock := h.Lock(ActionCheck, payload); lock != "" {
				t.Errorf("waits for %s", lock)
			}
		})
	}
	_, err := (Handler{}).Handle(t.Context(), ActionCheck, []byte(`{"disks": [{"template": "tape"}]}`), nil)
	if err == nil || !strings.Contains(err.Error(), `disk template "tape" is unknown`) {
		t.Errorf("of another template: %v", err)
	}
}
