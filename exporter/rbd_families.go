package exporter

var rbdLabels = []string{"pool", "namespace", "image"}

const (
	rbdOpenCost  = "in the background once a minute: 12 operations of the OSDs and 4 ms of own CPU an image"
	rbdUsageCost = "in the background every 10 minutes: 64 KiB read from the OSDs for each TiB of an image"
	rbdPerfCost  = "in the background every 15 s: 1 mgr command; while it is asked for, the OSDs match each operation against 6 queries"
)

var (
	rbdImageInfo = &Family{
		Name: "ceph_rbd_image_info",
		Help: "Always 1 for an RBD image; the parent labels name the snapshot that it is a clone of.",
		Kind: Gauge,
		Labels: []string{
			"pool", "namespace", "image", "image_id", "features", "parent_pool", "parent_namespace", "parent_image", "parent_snapshot",
		},
		Source: "librbd, as rbd info", Cost: rbdOpenCost,
	}
	rbdSize = &Family{
		Name: "ceph_rbd_image_size_bytes", Help: "Provisioned size of the image in bytes.",
		Kind: Gauge, Labels: rbdLabels, Source: "librbd, as rbd info", Cost: rbdOpenCost,
	}
	rbdSnapshots = &Family{
		Name: "ceph_rbd_image_snapshots", Help: "Number of snapshots of the image, with those in the trash that clones still need.",
		Kind: Gauge, Labels: rbdLabels, Source: "librbd, as rbd snap ls --all", Cost: rbdOpenCost,
	}
	rbdWatchers = &Family{
		Name: "ceph_rbd_image_watchers", Help: "Number of clients that have the image open for writing, such as QEMU or a kernel.",
		Kind: Gauge, Labels: rbdLabels, Source: "librbd, as rbd status", Cost: rbdOpenCost,
	}
	rbdUsed = &Family{
		Name: "ceph_rbd_image_used_bytes",
		Help: "Bytes of the objects that the image itself has now, without those of its snapshots and parent; only images with fast-diff and a valid object map have it.",
		Kind: Gauge, Labels: rbdLabels, Source: "librbd, as rbd du", Cost: rbdUsageCost,
	}
	rbdInfoAge = &Family{
		Name: "ceph_rbd_image_info_age_seconds", Help: "Seconds since info, size, snapshots and watchers were read, for the image of the pool where that is the longest ago.",
		Kind: Gauge, Labels: []string{"pool"}, Source: "the collector", Cost: "none",
	}
	rbdUsedAge = &Family{
		Name: "ceph_rbd_image_used_age_seconds", Help: "Seconds since the usage was read, for the image of the pool where that is the longest ago.",
		Kind: Gauge, Labels: []string{"pool"}, Source: "the collector", Cost: "none",
	}
	rbdImages = &Family{
		Name: "ceph_rbd_images", Help: "Number of images in the namespace of the pool, without the trash.",
		Kind: Gauge, Labels: []string{"pool", "namespace"},
		Source: "librbd, as rbd ls", Cost: "1 operation of an OSD for each pool, namespace and 1024 images",
	}
	rbdDropped = &Family{
		Name: "ceph_rbd_images_dropped", Help: "Number of images of the pool that are left out because there are more than the configured maximum.",
		Kind: Gauge, Labels: []string{"pool"}, Source: "the collector", Cost: "none",
	}

	rbdReadOps    = rbdCounter("ceph_rbd_read_ops", "Reads that the OSDs did for the image since the mgr began to count.")
	rbdWriteOps   = rbdCounter("ceph_rbd_write_ops", "Writes that the OSDs did for the image since the mgr began to count.")
	rbdReadBytes  = rbdCounter("ceph_rbd_read_bytes", "Bytes that the OSDs read for the image since the mgr began to count.")
	rbdWriteBytes = rbdCounter("ceph_rbd_write_bytes", "Bytes that the OSDs wrote for the image since the mgr began to count.")

	rbdReadLatency  = rbdLatency("ceph_rbd_read_latency", "Nanoseconds that the OSDs took for the reads of the image.")
	rbdWriteLatency = rbdLatency("ceph_rbd_write_latency", "Nanoseconds that the OSDs took for the writes of the image.")

	rbdPerfAge = &Family{
		Name: "ceph_rbd_perf_age_seconds", Help: "Seconds since the mgr was asked for the I/O of images.",
		Kind: Gauge, Source: "the collector", Cost: "none",
	}
	rbdPerfTruncated = &Family{
		Name: "ceph_rbd_perf_truncated", Help: "Whether the answer of the mgr was full, at 64 images, so that the I/O of others may be missing.",
		Kind: Gauge, Source: "ceph rbd perf image counters", Cost: rbdPerfCost,
	}

	rbdFamilies = []*Family{
		rbdImageInfo, rbdSize, rbdSnapshots, rbdWatchers, rbdUsed, rbdInfoAge, rbdUsedAge, rbdImages, rbdDropped,
		rbdReadOps, rbdWriteOps, rbdReadBytes, rbdWriteBytes, rbdReadLatency, rbdWriteLatency, rbdPerfAge, rbdPerfTruncated,
	}
)

func rbdCounter(name, help string) *Family {
	return &Family{
		Name: name, Help: help, Kind: Counter, Labels: rbdLabels,
		Source: "ceph rbd perf image counters", Cost: rbdPerfCost, Ceph: true,
	}
}

func rbdLatency(name, help string) *Family {
	return &Family{
		Name: name, Help: help, Kind: Summary, Labels: rbdLabels,
		Source: "ceph rbd perf image counters", Cost: rbdPerfCost, Ceph: true,
	}
}
