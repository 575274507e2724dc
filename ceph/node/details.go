package node

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// details finds out what daemons have on disk. LVM and the devices are looked at once, when first needed.
type details struct {
	host *Host
	uid  int
	// fsid is the cluster of ceph.conf.
	fsid     string
	volumes  func() []volume
	labels   func() map[string]label
	problems []error
}

func (h *Host) newDetails(ctx context.Context, conf *Conf) *details {
	d := &details{host: h, uid: -1}
	if conf != nil {
		d.fsid = conf.FSID
	}
	if uid, _, err := h.ids(cephUser); err == nil {
		d.uid = uid
	}
	d.volumes = once(func() []volume {
		found, err := h.volumes(ctx)
		if err != nil {
			d.problems = append(d.problems, err)
		}
		return found
	})
	d.labels = once(func() map[string]label {
		found, err := bounded(ctx, "read labels", scanLabels)
		if err != nil {
			d.problems = append(d.problems, err)
		}
		return found
	})
	return d
}

func once[T any](get func() T) func() T {
	var value T
	done := false
	return func() T {
		if !done {
			value, done = get(), true
		}
		return value
	}
}

// scanLabels reads the label of each block device that has one.
func scanLabels() (map[string]label, error) {
	entries, err := os.ReadDir("/sys/class/block")
	if err != nil {
		return nil, err
	}
	labels := make(map[string]label)
	for _, entry := range entries {
		// The kernel writes a slash of a name as an exclamation mark.
		path := "/dev/" + strings.ReplaceAll(entry.Name(), "!", "/")
		if found, err := readLabel(path); err == nil {
			labels[path] = found
		}
	}
	return labels, nil
}

// fill says what a daemon has on disk.
func (d *details) fill(facts *DaemonFacts) {
	data := d.host.layout().data(facts.Daemon)
	facts.FSID = readMark(data)
	switch facts.Role {
	case RoleMon:
		facts.Data = isMadeMon(data)
	case RoleMgr:
		_, err := os.Stat(filepath.Join(data, "keyring"))
		facts.Data = err == nil
	case RoleOSD:
		d.fillOSD(facts, data)
	}
}

// fillOSD looks into the data folder, and when that is empty, as after a boot, for the device itself.
func (d *details) fillOSD(facts *DaemonFacts, data string) {
	facts.UUID = readWord(data, "fsid")
	if block, err := os.Readlink(filepath.Join(data, "block")); err == nil {
		facts.Device = block
		facts.Backend = backendOf(block)
		facts.Data = filled(data, d.uid)
		if facts.Backend == BackendLVM {
			facts.Device = "" // if there is no volume any more, nobody knows where it was
			d.fillVolume(facts, func(v volume) bool { return v.path() == block })
		}
		return
	}
	if uuid := d.setting(facts.ID); uuid != "" {
		facts.UUID, facts.Backend = uuid, BackendRaw
		d.fillRaw(facts)
		return
	}
	d.fillVolume(facts, func(v volume) bool {
		return v.Tags["osd_id"] == facts.ID && (d.fsid == "" || sameID(v.Tags["cluster_fsid"], d.fsid))
	})
}

// backendOf tells how an OSD uses what its block link leads to.
func backendOf(block string) string {
	if info, err := os.Stat(block); err == nil && info.Mode().IsRegular() {
		return BackendFile
	}
	// Volumes have a folder of their group; names by udev have folders with a fixed name.
	parts := strings.Split(strings.TrimPrefix(block, "/dev/"), "/")
	if len(parts) == 2 && parts[0] != "mapper" || strings.Contains(block, "osd--block") {
		return BackendLVM
	}
	if !strings.HasPrefix(block, "/dev/") {
		return BackendFile
	}
	return BackendRaw
}

// setting returns the uuid of a raw OSD from what was written for its activation.
func (d *details) setting(id string) string {
	content, err := os.ReadFile(d.host.layout().osdSetting(id))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(content)) {
		if uuid, found := strings.CutPrefix(strings.TrimSpace(line), "OSD_UUID="); found {
			return uuid
		}
	}
	return ""
}

func (d *details) fillRaw(facts *DaemonFacts) {
	for path, found := range d.labels() {
		if on := found.osd(); sameID(on.UUID, facts.UUID) {
			facts.Device, facts.FSID, facts.Data = path, on.FSID, on.Complete
			return
		}
	}
}

func (d *details) fillVolume(facts *DaemonFacts, is func(volume) bool) {
	for _, v := range d.volumes() {
		osd, ok := v.osd()
		if v.LV == "" || !ok || !is(v) {
			continue
		}
		facts.UUID, facts.Device, facts.Backend = osd.UUID, v.stableDevice(), BackendLVM
		facts.FSID, facts.Data = osd.FSID, facts.Data || osd.Complete
		return
	}
}

// knownOSD is what is left of an OSD on the host.
func (d *details) knownOSD(daemon Daemon) (osd OSD, fsid string) {
	facts := DaemonFacts{Daemon: daemon}
	d.fill(&facts)
	id, _ := strconv.Atoi(daemon.ID)
	return OSD{ID: id, UUID: facts.UUID, Device: facts.Device, Backend: facts.Backend}, facts.FSID
}
