package exporter

const (
	qmpSource  = "query-blockstats (QMP)"
	qmpCost    = "1 QMP connection a guest, held for milliseconds"
	infoSource = "query-block (QMP), runtime file"
	infoCost   = "1 QMP command when the guest's disks change, and every 10 minutes of I/O"
	asokSource = "perf dump (admin socket of the guest's librbd)"
	asokCost   = "1 command a librbd client"
)

var (
	qemuGuestLabels = []string{"ganeti_instance"}
	qemuDiskLabels  = []string{"ganeti_instance", "disk"}
)

var (
	qemuUp = &Family{
		Name: "qemu_up",
		Help: "Whether the guest's QMP monitor answered in this scrape; no series while somebody else uses it.",
		Kind: Gauge, Labels: qemuGuestLabels, Source: "QMP", Cost: qmpCost,
	}
	qemuMonitorBusy = &Family{
		Name: "qemu_monitor_busy",
		Help: "Whether somebody else used all of the guest's QMP monitors, so that it was not asked.",
		Kind: Gauge, Labels: qemuGuestLabels, Source: "/proc/net/unix", Cost: "1 read for all guests",
	}
	qemuStatus = &Family{
		Name: "qemu_status",
		Help: "Always 1 for the run state that the guest is in, for example running, paused or io-error; other states have no series.",
		Kind: Gauge, Labels: []string{"ganeti_instance", "status"}, Source: "query-status (QMP)", Cost: qmpCost,
	}
	qemuVersion = &Family{
		Name: "qemu_version_info", Help: "Always 1, with the version of QEMU that runs the guest.",
		Kind: Gauge, Labels: []string{"ganeti_instance", "version", "package"}, Source: "greeting (QMP)", Cost: qmpCost,
	}
	qemuDiskInfo = &Family{
		Name: "qemu_disk_info",
		Help: "Always 1 for a disk that QEMU has open: what it is made of, to join with pool and image. " +
			"disk is Ganeti's index, or QEMU's name where Ganeti has none.",
		Kind: Gauge,
		Labels: []string{
			"ganeti_instance", "disk", "uuid", "access", "driver", "cache", "device", "pool", "namespace", "image",
		},
		Source: infoSource, Cost: infoCost,
	}
	qemuDiskSize = &Family{
		Name: "qemu_disk_size_bytes", Help: "Size in bytes that the guest sees.",
		Kind: Gauge, Labels: qemuDiskLabels, Source: infoSource, Cost: infoCost,
	}
	qemuDiskIdle = &Family{
		Name: "qemu_disk_idle_seconds", Help: "Seconds since the guest last used the disk; no series before it did.",
		Kind: Gauge, Labels: qemuDiskLabels, Source: qmpSource, Cost: qmpCost,
	}

	qemuDiskRead = qemuOperations{
		count:   qemuCounter("read_operations", "Reads that the guest has done."),
		bytes:   qemuCounter("read_bytes", "Bytes that the guest has read."),
		seconds: qemuCounter("read_seconds", "Seconds that all reads of the guest took together."),
		merged:  qemuCounter("read_merged", "Reads that QEMU merged into another."),
		failed:  qemuCounter("read_failed", "Reads that failed."),
		invalid: qemuCounter("read_invalid", "Reads that were invalid, for example past the end of the disk."),
	}
	qemuDiskWrite = qemuOperations{
		count:   qemuCounter("write_operations", "Writes that the guest has done."),
		bytes:   qemuCounter("write_bytes", "Bytes that the guest has written."),
		seconds: qemuCounter("write_seconds", "Seconds that all writes of the guest took together."),
		merged:  qemuCounter("write_merged", "Writes that QEMU merged into another."),
		failed:  qemuCounter("write_failed", "Writes that failed."),
		invalid: qemuCounter("write_invalid", "Writes that were invalid, for example past the end of the disk."),
	}
	qemuDiskFlush = qemuOperations{
		count:   qemuCounter("flush_operations", "Flushes that the guest has done."),
		seconds: qemuCounter("flush_seconds", "Seconds that all flushes of the guest took together."),
		failed:  qemuCounter("flush_failed", "Flushes that failed."),
		invalid: qemuCounter("flush_invalid", "Flushes that were invalid."),
	}
	qemuDiskUnmap = qemuOperations{
		count:   qemuCounter("unmap_operations", "Unmaps (discards) that the guest has done."),
		bytes:   qemuCounter("unmap_bytes", "Bytes that the guest has unmapped."),
		seconds: qemuCounter("unmap_seconds", "Seconds that all unmaps of the guest took together."),
		merged:  qemuCounter("unmap_merged", "Unmaps that QEMU merged into another."),
		failed:  qemuCounter("unmap_failed", "Unmaps that failed."),
		invalid: qemuCounter("unmap_invalid", "Unmaps that were invalid."),
	}

	qemuLibrbdRead    = qemuLibrbdFamilies("read", "reads", true)
	qemuLibrbdWrite   = qemuLibrbdFamilies("write", "writes", true)
	qemuLibrbdDiscard = qemuLibrbdFamilies("discard", "discards", true)
	qemuLibrbdFlush   = qemuLibrbdFamilies("flush", "flushes", false)
)

// qemuOperations are the families of one kind of I/O. Nil is what that kind does not have.
type qemuOperations struct {
	count, bytes, seconds, merged, failed, invalid *Family
}

func (o *qemuOperations) families() []*Family {
	return present(o.count, o.bytes, o.seconds, o.merged, o.failed, o.invalid)
}

// qemuLibrbd are the families of one kind of I/O as librbd counts it.
type qemuLibrbd struct {
	count, bytes, latency *Family
}

func (o *qemuLibrbd) families() []*Family { return present(o.count, o.bytes, o.latency) }

func present(families ...*Family) []*Family {
	var some []*Family
	for _, f := range families {
		if f != nil {
			some = append(some, f)
		}
	}
	return some
}

// qemuCounter is a counter that starts anew when QEMU opens the disk, as at the start of the guest.
func qemuCounter(name, help string) *Family {
	return &Family{
		Name: "qemu_disk_" + name + "_total", Help: help,
		Kind: Counter, Labels: qemuDiskLabels, Source: qmpSource, Cost: qmpCost,
	}
}

func qemuLibrbdFamilies(name, plural string, hasBytes bool) qemuLibrbd {
	family := func(suffix, help string, kind Kind) *Family {
		return &Family{
			Name: "qemu_disk_librbd_" + name + suffix, Help: help,
			Kind: kind, Labels: qemuDiskLabels, Source: asokSource, Cost: asokCost,
		}
	}
	o := qemuLibrbd{
		count:   family("_operations_total", "Number of "+plural+" that the guest's librbd has begun.", Counter),
		latency: family("_latency_seconds", "Time in seconds that "+plural+" took in the guest's librbd.", Summary),
	}
	if hasBytes {
		o.bytes = family("_bytes_total", "Bytes of the "+plural+" of the guest's librbd.", Counter)
	}
	return o
}

func qemuFamilies() []*Family {
	families := []*Family{
		qemuUp, qemuMonitorBusy, qemuStatus, qemuVersion, qemuDiskInfo, qemuDiskSize, qemuDiskIdle,
	}
	for _, o := range []*qemuOperations{&qemuDiskRead, &qemuDiskWrite, &qemuDiskFlush, &qemuDiskUnmap} {
		families = append(families, o.families()...)
	}
	for _, o := range []*qemuLibrbd{&qemuLibrbdRead, &qemuLibrbdWrite, &qemuLibrbdDiscard, &qemuLibrbdFlush} {
		families = append(families, o.families()...)
	}
	return families
}
