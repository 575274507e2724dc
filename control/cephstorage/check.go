package cephstorage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/node"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// maxSkew is how far a node's clock may be off. Mons complain from 0.05 s on, but the time that ssh takes hides that
// much.
const maxSkew = 2 * time.Second

// checkMembers adds all the reasons why nodes can't be what they are to be.
func checkMembers(plan *control.Plan, v *view, members []*nodeView, fsid string, memory *control.Memory) {
	for _, n := range members {
		if n.err != nil {
			plan.Block(n.Name, "node-unreachable", "", "%v", n.err)
			continue
		}
		checkConf(plan, n, fsid)
		checkDaemons(plan, n, fsid)
		checkClock(plan, n)
		options, err := v.optionsOf(n.Name)
		if err != nil {
			plan.Block(n.Name, "options", "", "%v", err)
			continue
		}
		checkPackages(plan, n, options)
		checkDevices(plan, v, n, fsid, memory)
		checkMemory(plan, v, n, options)
		checkSpaceForData(plan, n)
		if _, err := publicAddress(n.facts.Addresses, n.Address, options.PublicNetwork); err != nil {
			plan.Block(n.Name, "no-address", "set it by public_network of -S, or give the node its IP address", "%v", err)
		}
		// Without one, its OSDs would not start.
		if err := inClusterNetwork(n.facts.Addresses, options.ClusterNetwork); err != nil {
			plan.Block(n.Name, "no-address", "set it by cluster_network of -S, or give the node an address there", "%v", err)
		}
	}
	checkReleases(plan, members)
	checkHosts(plan, members)
}

func checkPackages(plan *control.Plan, n *nodeView, options settings) {
	var missing []string
	for _, name := range node.Packages(options.Backend) {
		if n.facts.Packages[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		plan.Block(n.Name, "packages-missing", "apt-get install "+strings.Join(missing, " "),
			"Ceph's packages are not installed (%s)", strings.Join(missing, ", "))
	}
}

// checkReleases wants one release of Ceph everywhere, and names the nodes that differ from most.
func checkReleases(plan *control.Plan, members []*nodeView) {
	count := map[string]int{}
	common := ""
	for _, n := range members {
		if r := n.facts.Release; r != "" {
			count[r]++
			if count[r] > count[common] {
				common = r
			}
		}
	}
	for _, n := range members {
		if r := n.facts.Release; r != "" && r != common {
			plan.Block(n.Name, "release-differs", "install "+common, "has Ceph %s, the other nodes have %s", r, common)
		}
	}
}

func checkConf(plan *control.Plan, n *nodeView, fsid string) {
	switch c := n.facts.Conf; {
	case c == nil || c.FSID == fsid:
	case c.FSID == "":
		plan.Block(n.Name, "foreign-conf", "nothing is overwritten; if nobody needs it, move it away",
			"%s is there and names no fsid, or can't be read", defaultConfig)
	default:
		plan.Block(n.Name, "foreign-conf", "nothing is overwritten; if that cluster is gone, move the file away; if it is this one, of which the state was lost: cephctl storage restore",
			"%s belongs to another Ceph cluster (fsid %s)", defaultConfig, c.FSID)
	}
}

func checkDaemons(plan *control.Plan, n *nodeView, fsid string) {
	for _, d := range n.facts.Daemons {
		if d.FSID != "" && d.FSID != fsid {
			plan.Block(n.Name, "foreign-daemon", "remove it first", "%s is of another Ceph cluster (fsid %s)", d.Daemon, d.FSID)
		}
	}
}

func checkClock(plan *control.Plan, n *nodeView) {
	if n.facts.Time.IsZero() {
		return
	}
	off := time.Duration(0)
	switch t := n.facts.Time; {
	case t.Before(n.asked):
		off = n.asked.Sub(t)
	case t.After(n.answered):
		off = t.Sub(n.answered)
	}
	if off > maxSkew {
		plan.Block(n.Name, "clock-skew", "set it, for example with chrony: mons need clocks that agree",
			"its clock is off by %s", off.Round(time.Second))
	}
}

// checkHosts wants a short host name of its own for each node: mons, mgrs and CRUSH hosts are named after it.
func checkHosts(plan *control.Plan, members []*nodeView) {
	seen := map[string]string{}
	for _, n := range members {
		if other, ok := seen[n.host()]; ok && n.err == nil {
			plan.Block(n.Name, "same-host", "give each node a host name of its own", "has the host name %s, like %s", n.host(), other)
		}
		seen[n.host()] = n.Name
	}
}

// minFree is how much has to be free below /var/lib/ceph for a node to begin with: a mon's store and logs grow to that
// within hours.
const minFree = 512 << 20

// checkSpaceForData looks at the place of the daemons' data on a node that has none yet. What is too full later, Ceph
// says itself.
func checkSpaceForData(plan *control.Plan, n *nodeView) {
	if len(n.facts.Daemons) == 0 && n.facts.VarFreeBytes < minFree && len(n.facts.Problems) == 0 {
		plan.Block(n.Name, "var-full", "make room: mons and OSDs keep their data there", "only %d MiB are free below /var/lib/ceph", n.facts.VarFreeBytes>>20)
	}
}

// memoryCure says what to do about a node that has too little memory.
const memoryCure = "lower osd_memory_target or host_reserve, or take disks or instances away"

// checkMemory looks at the memory of a node that gets an OSD. Where instances have come since, what runs goes on, and keeps
// no other node from coming: verify tells.
func checkMemory(plan *control.Plan, v *view, n *nodeView, options settings) {
	if text := n.lacksMemory(options); text != "" && v.getsOSD(n) {
		plan.Block(n.Name, "memory", memoryCure, "%s", text)
	}
}

// lacksMemory says what OSDs, instances and host need when that is more than a node has, or nothing.
func (n *nodeView) lacksMemory(options settings) string {
	osds := int64(len(options.Disks))
	sum := osds*options.MemoryTarget + n.InstanceMemoryBytes + options.HostReserve
	if n.facts.MemoryBytes == 0 || sum <= n.facts.MemoryBytes {
		return ""
	}
	return fmt.Sprintf("%d OSDs × %s + instances %s + host %s = %s, and it has %s", osds, formatSize(options.MemoryTarget),
		formatSize(n.InstanceMemoryBytes), formatSize(options.HostReserve), formatSize(sum), formatSize(n.facts.MemoryBytes))
}

// getsOSD tells whether a node has a device without the OSD that is to be on it.
func (v *view) getsOSD(n *nodeView) bool {
	for i := range n.facts.Devices {
		d := &n.facts.Devices[i]
		if _, lost := v.lostOSD(n, d); !lost && v.existing(n, d) == nil {
			return true
		}
	}
	return false
}

func checkDevices(plan *control.Plan, v *view, n *nodeView, fsid string, memory *control.Memory) {
	if len(n.facts.Devices) == 0 {
		plan.Block(n.Name, "no-device", n.nameDevices(), "no option names a device of this node")
		return
	}
	var seen []string
	for i := range n.facts.Devices {
		d := &n.facts.Devices[i]
		switch kind, text, cure := judgeDevice(v, n, d, fsid, memory); {
		case kind != "":
			plan.Block(n.Name, kind, cure, "%s %s", d.Path, text)
		case slices.Contains(seen, d.Stable):
			plan.Block(n.Name, "device-twice", "name each disk once", "%s is named twice", d.Path)
		}
		seen = append(seen, d.Stable)
	}
}

// nameDevices says how a node gets devices of its own: only one that is in the inventory can have options.
func (n *nodeView) nameDevices() string {
	modify := "cephctl node modify -S " + Name + ":disk=/dev/sdX " + n.Name
	if n.entering {
		return "cephctl node add -S " + Name + ":disk=/dev/sdX " + n.Name
	}
	return modify
}

// judgeDevice returns why a device can't be used, or nothing.
func judgeDevice(v *view, n *nodeView, d *node.DeviceFacts, fsid string, memory *control.Memory) (kind, text, cure string) {
	wipe := howToWipe(d)
	if _, lost := v.lostOSD(n, d); lost {
		return "", "", "" // it is not used, and must not keep the cluster from growing
	}
	switch {
	case !d.Exists:
		return "device-missing", "does not exist", "name the devices of this node: " + n.nameDevices()
	case d.OSD != nil && d.OSD.FSID != "" && d.OSD.FSID != fsid:
		return "device-foreign-osd", fmt.Sprintf("holds osd.%d of another Ceph cluster (fsid %s)", d.OSD.ID, d.OSD.FSID), wipe
	case d.OSD != nil && d.OSD.UUID == memory.Get(osdKey(n, d)):
		return "", "", "" // half made by us, or made and not yet started
	case d.OSD != nil && v.ceph != nil && v.ceph.osds.byUUID(d.OSD.UUID) != nil:
		return "", "", ""
	case d.OSD != nil && v.ceph == nil && !v.state.Initialised.IsZero():
		return "", "", "" // nobody can tell; that the cluster does not answer is a blocker of its own
	case d.OSD != nil:
		return "device-old-osd", fmt.Sprintf("holds an OSD (%s) that the cluster does not know", d.OSD.UUID), wipe
	case !d.Pristine:
		return "device-in-use", "is not empty: " + d.Content, wipe
	}
	return "", "", ""
}

// howToWipe says what a person does about a device that has something on it.
func howToWipe(d *node.DeviceFacts) string {
	return "if nothing on it is needed, wipe it: " + cmp.Or(d.Wipe, "wipefs -a "+d.Path)
}

// osdKey is where an operation remembers the uuid of the OSD on a device.
func osdKey(n *nodeView, d *node.DeviceFacts) string { return "osd-uuid " + n.Name + " " + d.Path }

// benign are the health checks that do not speak against taking something away.
var benign = []string{
	"MON_DISK_LOW", "POOL_APP_NOT_ENABLED", "POOL_NO_REDUNDANCY", "POOL_TOO_FEW_PGS", "POOL_TOO_MANY_PGS",
	"TOO_FEW_PGS", "TOO_FEW_OSDS", "TOO_MANY_PGS", "AUTH_INSECURE_GLOBAL_ID_RECLAIM", "AUTH_INSECURE_GLOBAL_ID_RECLAIM_ALLOWED",
	"RECENT_CRASH", "RECENT_MGR_MODULE_CRASH", "MGR_MODULE_DEPENDENCY", "OSDMAP_FLAGS", "OSD_FLAGS", "MON_MSGR2_NOT_ENABLED",
	"PG_NOT_DEEP_SCRUBBED", "PG_NOT_SCRUBBED", "TELEMETRY_CHANGED",
}

// checkHealth stops what takes something away: HEALTH_ERR always, HEALTH_WARN for checks that are not benign and are
// not excused by what was removed already.
func checkHealth(plan *control.Plan, h *health, excused ...string) {
	var bad []string
	for name, c := range h.Checks {
		harmless := slices.Contains(benign, name) || slices.Contains(excused, name)
		if !c.Muted && (c.Severity == "HEALTH_ERR" || !harmless) {
			bad = append(bad, name+" ("+c.Summary.Message+")")
		}
	}
	slices.Sort(bad)
	if len(bad) > 0 {
		plan.Block("", "health", "see \"ceph health detail\", and cure that first", "the cluster is not well: %s", strings.Join(bad, ", "))
	}
}
