package ganeti

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// RunDir is where Ganeti's nodes keep the files of guests.
const RunDir = "/run/ganeti"

var _ control.InstanceManager = (*Inventory)(nil)

type instance struct {
	Name        string   `json:"name"`
	UUID        string   `json:"uuid"`
	PrimaryNode string   `json:"pnode"`
	Status      string   `json:"status"`
	Template    string   `json:"disk_template"`
	DiskSizes   []int64  `json:"disk.sizes"` // in MiB
	DiskUUIDs   []string `json:"disk.uuids"`
	NICUUIDs    []string `json:"nic.uuids"`
	NICModes    []string `json:"nic.modes"`
	NICLinks    []string `json:"nic.links"`
	NICMACs     []string `json:"nic.macs"`
	Parameters  struct {
		MaxMemoryMiB int64 `json:"maxmem"`
		VCPUs        int   `json:"vcpus"`
	} `json:"beparams"`
	Hypervisor struct {
		DiskCache string `json:"disk_cache"`
	} `json:"hvparams"`
}

// instance is what Ganeti says of one, in the project's words: all but the names of images, which it tells only one by one.
func (in *instance) instance() control.Instance {
	i := control.Instance{
		Name: in.Name, UUID: in.UUID, Node: in.PrimaryNode, Status: in.Status,
		MemoryBytes: in.Parameters.MaxMemoryMiB << 20, VCPUs: in.Parameters.VCPUs,
	}
	for n, uuid := range in.DiskUUIDs {
		i.Disks = append(i.Disks, control.Disk{
			UUID: uuid, Template: in.Template, SizeBytes: at(in.DiskSizes, n) << 20, Own: map[string]string{"cache": in.cache()},
		})
	}
	for n, uuid := range in.NICUUIDs {
		i.NICs = append(i.NICs, control.NIC{UUID: uuid, Mode: at(in.NICModes, n), Bridge: at(in.NICLinks, n), MAC: at(in.NICMACs, n)})
	}
	return i
}

// cache is the cache mode of QEMU. Without one of its own, Ganeti leaves it to QEMU.
func (in *instance) cache() string {
	if in.Hypervisor.DiskCache == "default" || in.Hypervisor.DiskCache == "" {
		return "writeback"
	}
	return in.Hypervisor.DiskCache
}

// at returns the value at an index of a list that may be shorter.
func at[T any](list []T, n int) T {
	var none T
	if n < len(list) {
		return list[n]
	}
	return none
}

// RunDir implements control.InstanceManager.
func (*Inventory) RunDir() string { return RunDir }

// Images implements control.InstanceManager, by a job that takes no locks.
func (i *Inventory) Images(ctx context.Context, in control.Instance) (control.Instance, error) {
	var found map[string]struct {
		Disks []struct {
			UUID      string            `json:"uuid"`
			LogicalID []json.RawMessage `json:"logical_id"`
		} `json:"disks"`
	}
	path := instancePath(in.Name) + "/info"
	err := i.rapi.result(ctx, http.MethodGet, path, url.Values{"static": {"1"}}, &found)
	if err != nil {
		return in, fmt.Errorf("read the disks of %s: %w", in.Name, known(err, path))
	}
	images := make(map[string]string)
	for _, d := range found[in.Name].Disks {
		var image string
		if len(d.LogicalID) == 2 && json.Unmarshal(d.LogicalID[1], &image) == nil {
			images[d.UUID] = image
		}
	}
	for n := range in.Disks {
		in.Disks[n].Image = images[in.Disks[n].UUID]
	}
	return in, nil
}

// StartJob implements control.InstanceManager.
func (i *Inventory) StartJob(name string) control.Job {
	return i.job(http.MethodPut, instancePath(name)+"/startup", nil)
}

// StopJob implements control.InstanceManager.
func (i *Inventory) StopJob(name string, timeout time.Duration) control.Job {
	return i.job(http.MethodPut, instancePath(name)+"/shutdown", map[string]any{"timeout": int(timeout.Round(time.Second).Seconds())})
}

func instancePath(name string) string { return "/2/instances/" + url.PathEscape(name) }

func jsonText(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}
