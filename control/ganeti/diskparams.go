package ganeti

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// rbd is the disk template whose disks are images.
const rbd = "rbd"

// The disk parameters that Ganeti has for RBD images.
const (
	paramAccess = "access"
	paramPool   = "pool"
)

// settable are the disk parameters of Ganeti that cephctl changes, by template.
var settable = map[string][]string{rbd: {paramAccess, paramPool}}

// preset are those of our own that Ganeti has not: it opens images as the administrator with the usual configuration, in no
// namespace, and what QEMU caches and discards it has as parameters of the hypervisor.
func preset() map[string]map[string]string {
	return map[string]map[string]string{rbd: {
		"user": "admin", "conf": "/etc/ceph/ceph.conf", "namespace": "", "cache": "", "discard": "",
	}}
}

// DiskParams are disk parameters as Ganeti keeps them, by disk template and name.
type DiskParams map[string]map[string]json.RawMessage

// Text returns the value of a parameter that is a text, or "".
func (p DiskParams) Text(template, name string) string {
	var text string
	if json.Unmarshal(p[template][name], &text) != nil {
		return ""
	}
	return text
}

// values returns those that cephctl knows.
func (p DiskParams) values() map[string]control.Values {
	var all map[string]control.Values
	for template, names := range settable {
		values := make(control.Values)
		for _, name := range names {
			var value any // null is no text
			if err := json.Unmarshal(p[template][name], &value); err != nil {
				continue
			}
			if text, ok := value.(string); ok {
				values[name] = []string{text}
			}
		}
		if len(values) > 0 {
			if all == nil {
				all = make(map[string]control.Values)
			}
			all[template] = values
		}
	}
	return all
}

// ChangeDiskParams implements control.DiskParamInventory. Ganeti merges what it is sent with what it has, and has no word
// for a group that is to follow the cluster again.
func (i *Inventory) ChangeDiskParams(t control.DiskTemplate, group string, now, wanted control.Values) (control.Job, error) {
	changed := make(map[string]string)
	for name, values := range wanted {
		if !slices.Contains(settable[t.Name()], name) {
			return control.Job{}, fmt.Errorf("%w: Ganeti has no disk parameter %s of %s: it has %s",
				control.ErrUsage, name, t.Name(), strings.Join(settable[t.Name()], ", "))
		}
		if !slices.Equal(now[name], values) {
			changed[name] = values[0]
		}
	}
	for name := range now {
		if len(wanted[name]) == 0 {
			return control.Job{}, fmt.Errorf("%w: Ganeti takes no value of %s of %s back: give the one that is to hold", control.ErrUsage, name, t.Name())
		}
	}
	path := "/2/modify"
	if group != "" {
		path = groupPath(group) + "/modify"
	}
	return i.job(http.MethodPut, path, map[string]any{"diskparams": map[string]any{t.Name(): changed}}), nil
}

// job returns a change that the remote API makes. What it says is what is asked of that.
func (i *Inventory) job(method, path string, body any) control.Job {
	text := "RAPI: " + method + " " + path
	if body != nil {
		text += " " + jsonText(body)
	}
	return control.Job{Text: text, Do: func(ctx context.Context) error {
		return i.change(ctx, method, path, nil, body)
	}}
}
