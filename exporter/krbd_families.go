package exporter

var krbdLabels = []string{"device", "pool", "namespace", "image"}

var (
	krbdMappedInfo = &Family{
		Name: "krbd_mapped_info",
		Help: "Always 1 for an image that the kernel of this node has mapped; ganeti_instance and disk are empty when no Ganeti instance owns the device.",
		Kind: Gauge,
		Labels: []string{
			"device", "pool", "namespace", "image", "snapshot", "pool_id", "image_id", "features", "client", "client_addr",
			"fsid", "ganeti_instance", "disk",
		},
		Source: "/sys/bus/rbd/devices/<id>, <ganeti run>/instance-disks",
		Cost:   "a dozen reads of sysfs a mapping",
	}
	krbdSize = &Family{
		Name: "krbd_size_bytes", Help: "Size in bytes of the mapped image or snapshot.",
		Kind: Gauge, Labels: krbdLabels, Source: "/sys/bus/rbd/devices/<id>/size", Cost: "1 read of sysfs a mapping",
	}
	krbdInFlight = &Family{
		Name: "krbd_in_flight_requests", Help: "Requests that the mapped device has begun and not finished, by direction (read or write).",
		Kind: Gauge, Labels: append(krbdLabels[:4:4], "direction"),
		Source: "/sys/block/rbd<id>/inflight", Cost: "1 read of sysfs a mapping",
	}
	krbdReads      = krbdStat("krbd_read_operations_total", "Reads of the mapped device that are finished.")
	krbdReadBytes  = krbdStat("krbd_read_bytes_total", "Bytes read from the mapped device.")
	krbdReadTime   = krbdStat("krbd_read_seconds_total", "Seconds that all finished reads of the mapped device took together.")
	krbdWrites     = krbdStat("krbd_write_operations_total", "Writes to the mapped device that are finished.")
	krbdWriteBytes = krbdStat("krbd_write_bytes_total", "Bytes written to the mapped device.")
	krbdWriteTime  = krbdStat("krbd_write_seconds_total", "Seconds that all finished writes to the mapped device took together.")

	krbdFamilies = []*Family{
		krbdMappedInfo, krbdSize, krbdInFlight, krbdReads, krbdReadBytes, krbdReadTime, krbdWrites, krbdWriteBytes, krbdWriteTime,
	}
)

// krbdStat is a counter of the block layer. It starts anew when the image is mapped again.
func krbdStat(name, help string) *Family {
	return &Family{
		Name: name, Help: help, Kind: Counter, Labels: krbdLabels,
		Source: "/sys/block/rbd<id>/stat", Cost: "1 read of sysfs a mapping",
	}
}
