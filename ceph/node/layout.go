package node

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The users that files belong to.
const (
	rootUser = "root"
	cephUser = "ceph"
)

// layout says where Ceph, systemd and cephctl have their files.
type layout struct{ root string }

func (l layout) path(elements ...string) string {
	return filepath.Join(l.root+"/", filepath.Join(elements...))
}

func (l layout) etcCeph() string             { return l.path("etc/ceph") }
func (l layout) conf() string                { return l.path("etc/ceph/ceph.conf") }
func (l layout) keyring(name string) string  { return l.path("etc/ceph", name) }
func (l layout) etcCephctl() string          { return l.path("etc/cephctl") }
func (l layout) osdSettings() string         { return l.path("etc/cephctl/osd") }
func (l layout) osdSetting(id string) string { return l.path("etc/cephctl/osd", id+".env") }
func (l layout) units() string               { return l.path("etc/systemd/system") }
func (l layout) varCeph() string             { return l.path("var/lib/ceph") }
func (l layout) varCephctl() string          { return l.path("var/lib/cephctl") }
func (l layout) nodeInfo() string            { return l.path("var/lib/cephctl/node.json") }
func (l layout) run() string                 { return l.path("run/cephctl") }
func (l layout) lock() string                { return l.path("run/cephctl/lock") }
func (l layout) pvs() string                 { return l.path("usr/sbin/pvs") }
func (l layout) cephVolume() string          { return l.path("usr/sbin/ceph-volume") }

// scratch is a private folder that is gone after a boot.
func (l layout) scratch(d Daemon) string { return l.path("run/cephctl", d.Role+"-"+d.ID) }

// data is the data folder of a daemon.
func (l layout) data(d Daemon) string { return l.path("var/lib/ceph", d.Role, "ceph-"+d.ID) }

// socket is the admin socket of a daemon.
func (l layout) socket(d Daemon) string {
	return l.path("run/ceph", "ceph-"+d.Role+"."+d.ID+".asok")
}

// wanted is the link that has systemd start a unit at boot.
func (l layout) wanted(target, unit string) string {
	return l.path("etc/systemd/system", target+".target.wants", unit)
}

// triggers are the links that have systemd activate an OSD with LVM at boot.
func (l layout) triggers(id string) []string {
	links, _ := filepath.Glob(l.wanted("multi-user", "ceph-volume@lvm-"+id+"-*.service")) // a good pattern
	return links
}

func (l layout) activationUnit() string { return l.path("etc/systemd/system/cephctl-osd@.service") }

func (l layout) dropInDir(id string) string {
	return l.path("etc/systemd/system", "ceph-osd@"+id+".service.d")
}

func (l layout) dropIn(id string) string { return filepath.Join(l.dropInDir(id), "cephctl.conf") }

// Names of what an OSD has with LVM. They are made of its uuid alone, so that a broken off attempt is found again.
func (o OSD) physicalVolume() string {
	digits := strings.ToLower(strings.ReplaceAll(o.UUID, "-", ""))
	var parts []string
	for _, length := range []int{6, 4, 4, 4, 4, 4, 6} { // as LVM writes uuids
		parts = append(parts, digits[:length])
		digits = digits[length:]
	}
	return strings.Join(parts, "-")
}
func (o OSD) volumeGroup() string   { return "ceph-" + o.UUID }
func (o OSD) logicalVolume() string { return "osd-block-" + o.UUID }
func (o OSD) volume() string        { return o.volumeGroup() + "/" + o.logicalVolume() }

// block is the device that holds the OSD's label.
func (o OSD) block() string {
	if o.Backend == BackendLVM {
		return "/dev/" + o.volume()
	}
	return o.Device
}

func (o OSD) id() string {
	if o.ID < 0 {
		return unknownID
	}
	return strconv.Itoa(o.ID)
}

func (o OSD) daemon() Daemon { return Daemon{Role: RoleOSD, ID: o.id()} }

func (d Daemon) unit() string       { return "ceph-" + d.Role + "@" + d.ID }
func activation(id string) string   { return "cephctl-osd@" + id }
func (o OSD) volumeTrigger() string { return "ceph-volume@lvm-" + o.id() + "-" + o.UUID }

// exists tells whether there is anything at a path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
