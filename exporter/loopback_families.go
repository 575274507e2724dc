package exporter

var loopbackLabels = []string{"device", "pool", "namespace", "image", "ganeti_instance", "disk"}

const costLoopback = "some reads of sysfs a mapping; 1 admin socket command to each OSD of the node when something is mapped"

var (
	loopbackLevel = &Family{
		Name: "loopback_level",
		Help: "Risk that the node hangs as its kernel writes to an image that an OSD of the node serves: 0 none, 1 info, 2 notice, 3 warning, 4 critical. Reason is swap, filesystem, page_cache, direct or idle; data_pool is that of an image with --data-pool. Absent when it is not known.",
		Kind: Gauge, Labels: append(loopbackLabels[:6:6], "reason", "data_pool"),
		Source: "all sources below together; for rbd-nbd and an image with a data pool, its header (rbd_header.<id>)", Cost: costLoopback + "; 1 or 2 reads of an object when an image with a data pool, or of rbd-nbd, is met for the first time",
	}
	loopbackLevelKnown = &Family{
		Name: "loopback_level_known", Help: "Whether all that the level takes could be read.",
		Kind: Gauge, Labels: loopbackLabels, Source: "all sources below together", Cost: "none more",
	}
	loopbackLocalOSDs = &Family{
		Name: "loopback_local_osds", Help: "OSDs of this node that have a part of the image's pool. Absent when it is not known of any.",
		Kind: Gauge, Labels: loopbackLabels, Source: "get_mapped_pools of the node's OSDs", Cost: "none more",
	}
	loopbackLocalPool = &Family{
		Name: "loopback_local_pool_info",
		Help: "1 for each pool that OSDs of this node have a part of and writes to the image wait for: that of its data, of its object map, or of the parent of a clone.",
		Kind: Gauge, Labels: append(loopbackLabels[:6:6], "local_pool"),
		Source: "get_mapped_pools of the node's OSDs, /sys/bus/rbd/devices/<n>/parent", Cost: "1 read of sysfs a clone",
	}
	loopbackInFlight = &Family{
		Name: "loopback_requests_in_flight",
		Help: "Requests of the device under way: to OSDs of this node (scope local_osds), or to all (scope all_osds) where debugfs cannot be read, and for rbd-nbd.",
		Kind: Gauge, Labels: append(loopbackLabels[:6:6], "scope"),
		Source: "debugfs ceph/<client>/osdc, /sys/block/<device>/stat", Cost: "1 read of debugfs a client with requests in flight",
	}
	loopbackOldest = &Family{
		Name: "loopback_oldest_request_age_seconds",
		Help: "Seconds that the oldest of these requests has been seen, or where their OSDs are not known, since any has ended. 0 when there is none.",
		Kind: Gauge, Labels: loopbackLabels, Source: "debugfs ceph/<client>/osdc, /sys/block/<device>/stat", Cost: "none more",
	}
	loopbackPoolShare = &Family{
		Name: "loopback_pool_local_pgs_ratio",
		Help: "Share of the pool's placement groups, 0 to 1, of which the primary (copy primary) or any copy (copy any) is on an OSD of this node. Of pools with a mapped image, its data or its parent.",
		Kind: Gauge, Labels: []string{"pool_id", "pool", "copy"},
		Source: "osd stat, osd dump, pg ls-by-osd",
		Cost:   "when something is mapped, 1 mon command a scrape (0.1 kB); when the OSD map has changed 1 more (1 kB an OSD and a pool), and 1 mgr command an OSD of the node (3 kB a placement group on it)",
	}
	loopbackLookAge = &Family{
		Name: "loopback_processes_look_age_seconds",
		Help: "Seconds since the open files of processes were last looked at. It is done again when a device moves of which nobody is known to have it open, and else once a minute at most.",
		Kind: Gauge, Source: "/proc/<pid>/fd, fdinfo", Cost: "all open files of all processes, at most once a minute unless a device is new or moved by unknown hands",
	}
	loopbackPoolsAge = &Family{
		Name: "loopback_osd_answer_age_seconds",
		Help: "Seconds since the OSD has said which pools it serves. When it hangs its last answer is good for ten minutes.",
		Kind: Gauge, Labels: daemonLabel, Source: "get_mapped_pools", Cost: "none more",
	}
	loopbackSourceKnown = &Family{
		Name: "loopback_source_known",
		Help: "Whether all of the source could be read: krbd, nbd, osds, mounts, processes, memory, pressure, requests. Without pressure the available memory decides alone, without requests they are counted by device.",
		Kind: Gauge, Labels: []string{"source"}, Source: "the source", Cost: "none more",
	}
	loopbackMappings = &Family{
		Name: "loopback_mappings", Help: "Images that are mapped as block devices on this node, by driver (krbd or rbd-nbd).",
		Kind: Gauge, Labels: []string{"driver"}, Source: "/sys/bus/rbd/devices, /sys/block/nbd<n>/pid", Cost: "1 or 2 reads of sysfs",
	}
	loopbackPressure = &Family{
		Name: "loopback_memory_pressure_full_ratio",
		Help: "Share of the last minute, 0 to 1, in which all tasks of the node waited for memory.",
		Kind: Gauge, Source: "/proc/pressure/memory", Cost: "1 read of procfs",
	}
	loopbackTotal     = loopbackMemory("total", "Memory of the node in bytes.")
	loopbackAvailable = loopbackMemory("available", "Bytes of the node's memory that can be had without swapping.")
	loopbackDirty     = loopbackMemory("dirty", "Bytes that wait to be written back.")
	loopbackWriteback = loopbackMemory("writeback", "Bytes that are being written back.")

	loopbackFamilies = []*Family{
		loopbackLevel, loopbackLevelKnown, loopbackLocalOSDs, loopbackLocalPool, loopbackInFlight, loopbackOldest, loopbackPoolShare,
		loopbackLookAge, loopbackPoolsAge, loopbackSourceKnown, loopbackMappings,
		loopbackPressure, loopbackTotal, loopbackAvailable, loopbackDirty, loopbackWriteback,
	}
)

func loopbackMemory(name, help string) *Family {
	return &Family{
		Name: "loopback_memory_" + name + "_bytes", Help: help, Kind: Gauge, Source: "/proc/meminfo", Cost: "1 read of procfs for all four",
	}
}
