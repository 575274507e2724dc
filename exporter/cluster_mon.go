package exporter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/cluster"
)

func addHealth(b *Batch, h cluster.Health) error {
	for _, name := range slices.Sorted(maps.Keys(h.Checks)) {
		b.Add(healthDetail, 1, name, h.Checks[name].Severity)
	}
	slow, err := h.SlowOps()
	if err == nil {
		b.Add(healthSlowOps, float64(slow.Total))
	}
	status := slices.Index([]string{"HEALTH_OK", "HEALTH_WARN", "HEALTH_ERR"}, h.Status)
	if status < 0 {
		return errors.Join(err, fmt.Errorf("unknown health status %q", h.Status))
	}
	b.Add(healthStatus, float64(status))
	return err
}

// addDaemonHealth puts in who has slow requests and pending creations.
func addDaemonHealth(b *Batch, h cluster.Health, mons []cluster.Mon, osds []cluster.OSD) error {
	slow, err := h.SlowOps()
	if err != nil {
		return err
	}
	pending, err := h.PendingPGs()
	if err != nil {
		return err
	}
	add := func(kind string, counts cluster.DaemonCount, daemon string) {
		if n, known := counts.Of(daemon); known {
			b.Add(daemonHealth, float64(n), kind, daemon)
		}
	}
	for _, m := range mons {
		if m.InQuorum {
			add("SLOW_OPS", slow, "mon."+m.Name)
		}
	}
	for _, o := range osds {
		if !o.New {
			add("SLOW_OPS", slow, osdName(o.ID))
			add("PENDING_CREATING_PGS", pending, osdName(o.ID))
		}
	}
	return nil
}

func addMons(b *Batch, mons []cluster.Mon, metadata map[string]cluster.Metadata) {
	for _, m := range mons {
		name := "mon." + m.Name
		b.AddBool(monQuorum, m.InQuorum, name)
		if meta, ok := metadata[m.Name]; ok {
			b.Add(monInfo, 1, name, meta.Hostname, m.Addr, strconv.Itoa(m.Rank), meta.Version)
		}
	}
}

func addMgrs(b *Batch, mgrs cluster.Mgrs) {
	add := func(name string, active bool) {
		b.AddBool(mgrStatus, active, "mgr."+name)
		if meta, ok := mgrs.Metadata[name]; ok {
			b.Add(mgrInfo, 1, "mgr."+name, meta.Hostname, meta.Version)
		}
	}
	for _, name := range mgrs.Standbys {
		add(name, false)
	}
	if mgrs.Active == "" {
		return
	}
	add(mgrs.Active, true)
	active, ok := mgrs.Metadata[mgrs.Active]
	for _, m := range mgrs.Modules {
		b.AddBool(mgrModuleCanRun, m.CanRun, m.Name)
		if ok { // which are always on depends on the release
			b.Add(mgrModuleStatus, moduleStatus(m, mgrs.AlwaysOn[active.Release]), m.Name)
		}
	}
}

func moduleStatus(m cluster.MgrModule, alwaysOn []string) float64 {
	switch {
	case slices.Contains(alwaysOn, m.Name):
		return 2
	case m.Enabled:
		return 1
	}
	return 0
}

func addFileSystems(b *Batch, m cluster.FileSystems) {
	for _, f := range m.FileSystems {
		pools := make([]string, len(f.DataPools))
		for i, id := range f.DataPools {
			pools[i] = poolID(id)
		}
		b.Add(fsInfo, 1, strings.Join(pools, ","), strconv.FormatInt(f.ID, 10), poolID(f.MetadataPool), f.Name)
	}
	for _, d := range m.MDSs {
		if meta, ok := m.Metadata[d.Name]; ok {
			b.Add(mdsInfo, 1, "mds."+d.Name, strconv.FormatInt(d.FileSystem, 10), meta.Hostname, d.Addr, strconv.Itoa(d.Rank), meta.Version)
		}
	}
}

func addOSDMap(b *Batch, m cluster.OSDs) {
	for _, f := range flagFamilies {
		b.AddBool(f.family, slices.Contains(m.Flags, f.name))
	}
	b.Add(osdFull, m.FullRatio)
	b.Add(osdNear, m.NearfullRatio)
	b.Add(blocklist, float64(m.Blocklisted))
	for _, o := range m.OSDs {
		if !o.New {
			addOSD(b, o, m)
		}
	}
	addDisks(b, m)
	for _, p := range m.Pools {
		b.Add(poolInfo, 1, poolID(p.ID), p.Name, p.Type, p.Description, p.CompressionMode, application(p.Applications))
	}
}

func addOSD(b *Batch, o cluster.OSD, m cluster.OSDs) {
	name := osdName(o.ID)
	b.AddBool(osdUp, o.Up, name)
	b.AddBool(osdIn, o.In, name)
	b.Add(osdWeight, o.Weight, name)
	if meta, ok := m.Metadata[o.ID]; ok && m.Classes != nil {
		b.Add(osdInfo, 1, meta.BackIface, name, o.ClusterAddr, m.Classes[o.ID], meta.FrontIface, meta.Hostname,
			meta.ObjectStore, o.PublicAddr, meta.Version)
	}
}

// addDisks puts in the block devices of the OSDs. OSDs on files have none.
func addDisks(b *Batch, m cluster.OSDs) {
	type disk struct{ device, host string }
	var disks []disk
	users := make(map[disk][]string)
	for _, o := range m.OSDs {
		meta := m.Metadata[o.ID]
		if meta.Device == "" || meta.Device == "unknown" || meta.Hostname == "" {
			continue
		}
		b.Add(diskOccupation, 1, osdName(o.ID), meta.Device, meta.DBDevice, meta.WALDevice, meta.Hostname,
			orNA(meta.Devices), orNA(meta.DeviceIDs))
		d := disk{meta.Device, meta.Hostname}
		if users[d] == nil {
			disks = append(disks, d)
		}
		users[d] = append(users[d], osdName(o.ID))
	}
	for _, d := range disks {
		b.Add(diskOccupationHuman, 1, strings.Join(users[d], ", "), d.device, d.host)
	}
}

func orNA(text string) string {
	if text == "" {
		return "N/A"
	}
	return text
}

// application names what a pool is used for, in the words of Ceph's dashboard.
func application(names []string) string {
	words := map[string]string{"rbd": "Block", "cephfs": "Filesystem", "rgw": "Object"}
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = name
		if word, ok := words[name]; ok {
			shown[i] = word
		}
	}
	return strings.Join(shown, ", ")
}

func osdName(id int) string { return "osd." + strconv.Itoa(id) }

func poolID(id int64) string { return strconv.FormatInt(id, 10) }
