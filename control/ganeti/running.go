package ganeti

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// Op is an operation of a job of Ganeti's.
type Op struct {
	// Group and Instance are those that it is about, if any, as they were named: by name or by UUID.
	Group    string `json:"group_name"`
	Instance string `json:"instance_name"`
	// DiskParams are the new ones.
	DiskParams DiskParams `json:"diskparams"`
	// Reason is how it came about: pairs of who and why, with a time.
	Reason [][3]any `json:"reason"`
}

// ByWatcher tells whether Ganeti's watcher has begun it.
func (o *Op) ByWatcher() bool {
	return slices.ContainsFunc(o.Reason, func(r [3]any) bool { return r[0] == "gnt:watcher" })
}

// ByCephctl tells whether it is a job of ours.
func (o *Op) ByCephctl() bool {
	return slices.ContainsFunc(o.Reason, func(r [3]any) bool { return r[1] == Reason })
}

// Running returns the operations with a code, for example "OP_GROUP_SET_PARAMS", that jobs are at. It is where a hook finds
// what its environment lacks.
func (i *Inventory) Running(ctx context.Context, code string) ([]Op, error) {
	type job struct {
		Ops []json.RawMessage `json:"ops"`
		// Status is that of each of them.
		Status []string `json:"opstatus"`
	}
	jobs, err := query[job](ctx, i.rapi, "job", []any{"=", "status", "running"}, "ops", "opstatus")
	if err != nil {
		return nil, fmt.Errorf("look at Ganeti's jobs: %w", err)
	}
	var found []Op
	for _, j := range jobs {
		for k, data := range j.Ops {
			var kind struct {
				Code string `json:"OP_ID"`
			}
			if k >= len(j.Status) || j.Status[k] != "running" || json.Unmarshal(data, &kind) != nil || kind.Code != code {
				continue // those of other kinds have other fields by the same names
			}
			var op Op
			if err := json.Unmarshal(data, &op); err != nil {
				return nil, fmt.Errorf("read %s of Ganeti's: %w", code, err)
			}
			found = append(found, op)
		}
	}
	return found, nil
}
