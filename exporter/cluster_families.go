package exporter

import "strings"

// What the families of the cluster collector cost.
const (
	costMon      = "1 mon command a scrape"
	costOSDMap   = "1 mon command a scrape, 3 more when the OSD map has changed (about 4 kB an OSD, 1 kB a pool)"
	costMgrMap   = "1 mon command a scrape, 2 more when the mgr map has changed (about 60 kB)"
	costFSMap    = "1 mon command a scrape (0.5 kB, 2 kB more a file system and 1 kB more an MDS)"
	costMDS      = costFSMap + ", 1 more when the map has changed and there are MDSs (0.6 kB an MDS)"
	costServices = "1 mgr command a scrape (0.1 kB, 1 kB more a daemon)"
	costMgr      = "1 mgr command a scrape"
	costPGStates = "1 mgr command a scrape; when placement groups differ in their states 1 more, about 6 µs of the mgr and 100 B for each of them"
)

var (
	daemonLabel = []string{"ceph_daemon"}
	poolLabel   = []string{"pool_id"}
	classLabel  = []string{"device_class"}
)

var clusterCollecting = &Family{
	Name: "ceph_ganeti_exporter_cluster_collecting",
	Help: "Whether this node collects what is of the whole cluster. Reason is leader (a mon of this node leads the quorum), peon, no_mon, always or never.",
	Kind: Gauge, Labels: []string{"reason"}, Source: "mon_status of the local mons", Cost: "1 admin socket command of each local mon",
}

// Of the mons.
var (
	healthStatus = cephGauge("ceph_health_status", "State of the cluster: 0 is HEALTH_OK, 1 HEALTH_WARN, 2 HEALTH_ERR.",
		nil, "health detail", costMon)
	healthDetail = cephGauge("ceph_health_detail", "Always 1, for every health check that has found something, muted or not.",
		[]string{"name", "severity"}, "health detail", costMon)
	healthSlowOps = cephGauge("ceph_healthcheck_slow_ops", "Requests that OSDs and mons have been working on for too long.",
		nil, "health detail", costMon)
	daemonHealth = cephGauge("ceph_daemon_health_metrics",
		"Slow requests (SLOW_OPS) of a daemon, and placement groups whose creation is pending in it (PENDING_CREATING_PGS). Ceph tells a total only: where several daemons share one, each of them has 1 here.",
		[]string{"type", "ceph_daemon"}, "health detail", costMon)
	monQuorum = cephGauge("ceph_mon_quorum_status", "Whether the mon is in quorum.", daemonLabel, "quorum_status", costMon)
	monInfo   = cephGauge("ceph_mon_metadata", "Always 1 for every mon of the monmap.",
		[]string{"ceph_daemon", "hostname", "public_addr", "rank", "ceph_version"}, "quorum_status, mon metadata", "2 mon commands a scrape")

	mgrInfo = cephGauge("ceph_mgr_metadata", "Always 1 for every mgr, active or standby.",
		[]string{"ceph_daemon", "hostname", "ceph_version"}, "mgr dump, mgr metadata", costMgrMap)
	mgrStatus       = cephGauge("ceph_mgr_status", "Whether the mgr is the active one; 0 is a standby.", daemonLabel, "mgr dump", costMgrMap)
	mgrModuleStatus = cephGauge("ceph_mgr_module_status", "State of the mgr module: 0 is disabled, 1 enabled, 2 always on.", []string{"name"}, "mgr dump", costMgrMap)
	mgrModuleCanRun = cephGauge("ceph_mgr_module_can_run", "Whether the mgr module has all that it needs to run.", []string{"name"}, "mgr dump", costMgrMap)
	fsInfo          = cephGauge("ceph_fs_metadata", "Always 1 for every CephFS; data_pools and metadata_pool are ids of pools.",
		[]string{"data_pools", "fs_id", "metadata_pool", "name"}, "fs dump", costFSMap)
	mdsInfo = cephGauge("ceph_mds_metadata", "Always 1 for every MDS; fs_id and rank of a standby are -1. public_addr is with port and nonce.",
		[]string{"ceph_daemon", "fs_id", "hostname", "public_addr", "rank", "ceph_version"}, "fs dump, mds metadata", costMDS)
	osdInfo = cephGauge("ceph_osd_metadata", "Always 1 for every OSD that has been started.",
		[]string{"back_iface", "ceph_daemon", "cluster_addr", "device_class", "front_iface", "hostname", "objectstore", "public_addr", "ceph_version"},
		"osd dump, osd tree, osd metadata", costOSDMap)
	osdUp     = cephGauge("ceph_osd_up", "Whether the mons take the OSD to be running.", daemonLabel, "osd dump", costOSDMap)
	osdIn     = cephGauge("ceph_osd_in", "Whether data is placed on the OSD.", daemonLabel, "osd dump", costOSDMap)
	osdWeight = cephGauge("ceph_osd_weight", "Share of its CRUSH weight that the OSD takes, 0 to 1, as ceph osd reweight sets it.", daemonLabel, "osd dump", costOSDMap)
	osdFull   = cephGauge("ceph_osd_full_ratio", "Share of an OSD, 0 to 1, above which it takes no more writes.", nil, "osd dump", costOSDMap)
	osdNear   = cephGauge("ceph_osd_nearfull_ratio", "Share of an OSD, 0 to 1, above which Ceph warns.", nil, "osd dump", costOSDMap)
	blocklist = cephGauge("ceph_cluster_osd_blocklist_count", "Addresses of clients that the OSDs refuse.", nil, "osd dump", costOSDMap)
	poolInfo  = cephGauge("ceph_pool_metadata", "Always 1 for every pool; description is replica:<copies> or ec:<data>+<coding chunks>.",
		[]string{"pool_id", "name", "type", "description", "compression_mode", "application"}, "osd dump", costOSDMap)
	diskOccupation = cephGauge("ceph_disk_occupation", "Always 1: which block devices of which host an OSD uses; instance is the host.",
		[]string{"ceph_daemon", "device", "db_device", "wal_device", "instance", "devices", "device_ids"}, "osd metadata", costOSDMap)
	diskOccupationHuman = cephGauge("ceph_disk_occupation_human", "Always 1: which OSDs use a block device of a host, for people to read and not for joins.",
		[]string{"ceph_daemon", "device", "instance"}, "osd metadata", costOSDMap)
)

// flagFamilies are the flags of the OSD map, by their names there.
var flagFamilies = flags([][2]string{
	{"noup", "OSDs that start are not marked up"},
	{"nodown", "OSDs that do not answer are not marked down"},
	{"noout", "OSDs that are down are not marked out"},
	{"noin", "OSDs that start are not marked in"},
	{"nobackfill", "no data is moved to OSDs that lack it"},
	{"norebalance", "no data is moved but to restore redundancy"},
	{"norecover", "nothing is recovered"},
	{"noscrub", "nothing is scrubbed"},
	{"nodeep-scrub", "nothing is deep-scrubbed"},
})

// Of the mgr.
var (
	osdApplyLatency  = cephGauge("ceph_osd_apply_latency_ms", "Milliseconds that the OSD took lately until a write could be read.", daemonLabel, "osd perf", costMgr)
	osdCommitLatency = cephGauge("ceph_osd_commit_latency_ms", "Milliseconds that the OSD took lately until a write was safe.", daemonLabel, "osd perf", costMgr)

	objectsDegraded  = cephGauge("ceph_num_objects_degraded", "Copies of objects that are missing.", nil, "pg dump pools", costMgr)
	objectsMisplaced = cephGauge("ceph_num_objects_misplaced", "Copies of objects that are not where CRUSH wants them.", nil, "pg dump pools", costMgr)
	objectsUnfound   = cephGauge("ceph_num_objects_unfound", "Objects of which no copy of the latest version is found.", nil, "pg dump pools", costMgr)
	objectsRepaired  = &Family{
		Name: "ceph_pool_objects_repaired", Help: "Objects of the pool that were found damaged and repaired.",
		Kind: Counter, Labels: poolLabel, Source: "pg dump pools", Cost: costMgr, Ceph: true,
	}
	pgTotal = cephGauge("ceph_pg_total", "Placement groups of the pool.", poolLabel, "pg dump pools", costMgr)

	rgwInfo = cephGauge("ceph_rgw_metadata", "Always 1 for every RADOS gateway; instance_id is its number in the cluster, another after each start. Where an orchestrator such as cephadm runs, the module of release 18 and later takes a part of the name instead.",
		[]string{"ceph_daemon", "hostname", "ceph_version", "instance_id"}, "service dump", costServices)
	rbdMirrorInfo = cephGauge("ceph_rbd_mirror_metadata", "Always 1 for every rbd-mirror; instance_id, also in ceph_daemon, is its number in the cluster, another after each start.",
		[]string{"ceph_daemon", "id", "instance_id", "hostname", "ceph_version"}, "service dump", costServices)

	recoveringObjects = poolRecovery("ceph_pool_recovering_objects_per_sec", "Objects of the pool that are recovered a second.")
	recoveringBytes   = poolRecovery("ceph_pool_recovering_bytes_per_sec", "Bytes of the pool that are recovered a second.")
	recoveringKeys    = poolRecovery("ceph_pool_recovering_keys_per_sec", "omap keys of the pool that are recovered a second.")
	recoveredObjects  = poolRecovery("ceph_pool_num_objects_recovered", "Objects of the pool that were recovered in the last seconds.")
	recoveredBytes    = poolRecovery("ceph_pool_num_bytes_recovered", "Bytes of the pool that were recovered in the last seconds.")

	clusterTotal       = usage("ceph_cluster_total_bytes", "Size of all OSDs in bytes.", nil)
	clusterUsed        = usage("ceph_cluster_total_used_bytes", "Bytes used on all OSDs for data.", nil)
	clusterUsedRaw     = usage("ceph_cluster_total_used_raw_bytes", "Bytes used on all OSDs for data and for their own needs.", nil)
	classTotal         = usage("ceph_cluster_by_class_total_bytes", "Size of all OSDs of the device class in bytes.", classLabel)
	classUsed          = usage("ceph_cluster_by_class_total_used_bytes", "Bytes used on all OSDs of the device class for data.", classLabel)
	classUsedRaw       = usage("ceph_cluster_by_class_total_used_raw_bytes", "Bytes used on all OSDs of the device class for data and for their own needs.", classLabel)
	poolStored         = usage("ceph_pool_stored", "Bytes that clients have stored in the pool.", poolLabel)
	poolStoredRaw      = usage("ceph_pool_stored_raw", "Bytes that clients have stored in the pool, with all copies.", poolLabel)
	poolUsed           = usage("ceph_pool_bytes_used", "Bytes that the pool takes on all OSDs.", poolLabel)
	poolPercentUsed    = usage("ceph_pool_percent_used", "Share of the pool's room that is used, 0 to 1 in spite of the name.", poolLabel)
	poolMaxAvail       = usage("ceph_pool_max_avail", "Bytes that clients can still store in the pool.", poolLabel)
	poolAvailRaw       = usage("ceph_pool_avail_raw", "Bytes that clients can still store in the pool, with all copies.", poolLabel)
	poolObjects        = usage("ceph_pool_objects", "Objects in the pool.", poolLabel)
	poolDirty          = usage("ceph_pool_dirty", "Objects of a cache pool that are not yet in the pool below.", poolLabel)
	poolQuotaBytes     = usage("ceph_pool_quota_bytes", "Most bytes that the pool may store; 0 is no limit.", poolLabel)
	poolQuotaObjects   = usage("ceph_pool_quota_objects", "Most objects that the pool may hold; 0 is no limit.", poolLabel)
	poolCompressedUsed = usage("ceph_pool_compress_bytes_used", "Bytes that the pool's compressed data takes.", poolLabel)
	poolCompressedFrom = usage("ceph_pool_compress_under_bytes", "Bytes that the pool's compressed data had before.", poolLabel)
	poolReads          = poolIO("ceph_pool_rd", "Reads by clients of the pool.")
	poolReadBytes      = poolIO("ceph_pool_rd_bytes", "Bytes read by clients of the pool.")
	poolWrites         = poolIO("ceph_pool_wr", "Writes by clients of the pool.")
	poolWrittenBytes   = poolIO("ceph_pool_wr_bytes", "Bytes written by clients of the pool.")
)

// pgStateFamilies are the states that a placement group can be in, by their names. It is in several at a time.
var pgStateFamilies = pgStates([][2]string{
	{"active", "take requests"},
	{"clean", "have all copies where they belong"},
	{"down", "miss an OSD that may hold the latest data, and take no requests"},
	{"recovery_unfound", "cannot end recovery, as objects are not found"},
	{"backfill_unfound", "cannot end backfill, as objects are not found"},
	{"scrubbing", "are being checked"},
	{"degraded", "have objects with too few copies"},
	{"inconsistent", "have copies that differ"},
	{"peering", "agree on their state among their OSDs, and take no requests"},
	{"repair", "are being checked and repaired"},
	{"recovering", "get missing copies back"},
	{"forced_recovery", "were given a high priority for recovery by hand"},
	{"backfill_wait", "wait for their turn to be backfilled"},
	{"incomplete", "lack a complete copy, and take no requests"},
	{"stale", "have not been heard of since their primary OSD went down"},
	{"remapped", "are on other OSDs than CRUSH wants for the time being"},
	{"deep", "are being checked with all their data"},
	{"backfilling", "are being copied in full to another OSD"},
	{"forced_backfill", "were given a high priority for backfill by hand"},
	{"backfill_toofull", "cannot be backfilled, as an OSD is too full"},
	{"recovery_wait", "wait for their turn to be recovered"},
	{"recovery_toofull", "cannot be recovered, as an OSD is too full"},
	{"undersized", "are on too few OSDs"},
	{"activating", "have agreed on their state and are not active yet"},
	{"peered", "have agreed on their state but have too few OSDs to be active"},
	{"snaptrim", "remove what deleted snapshots held"},
	{"snaptrim_wait", "wait for their turn to remove what deleted snapshots held"},
	{"snaptrim_error", "failed to remove what deleted snapshots held"},
	{"creating", "are being made"},
	{"unknown", "have not been heard of since the mgr started"},
	{"premerge", "are about to be merged"},
	{"failed_repair", "could not be repaired"},
	{"laggy", "wait for an OSD whose lease has ended"},
	{"wait", "wait for earlier leases to end"},
})

// clusterFamilies lists the families of the cluster collector.
func clusterFamilies() []*Family {
	families := []*Family{
		clusterCollecting, healthStatus, healthDetail, healthSlowOps, daemonHealth, monQuorum, monInfo,
		mgrInfo, mgrStatus, mgrModuleStatus, mgrModuleCanRun, fsInfo, mdsInfo, rgwInfo, rbdMirrorInfo,
		osdInfo, osdUp, osdIn, osdWeight, osdFull, osdNear, blocklist, poolInfo, diskOccupation, diskOccupationHuman,
		osdApplyLatency, osdCommitLatency, objectsDegraded, objectsMisplaced, objectsUnfound, objectsRepaired, pgTotal,
		recoveringObjects, recoveringBytes, recoveringKeys, recoveredObjects, recoveredBytes,
		clusterTotal, clusterUsed, clusterUsedRaw, classTotal, classUsed, classUsedRaw,
		poolStored, poolStoredRaw, poolUsed, poolPercentUsed, poolMaxAvail, poolAvailRaw, poolObjects, poolDirty,
		poolQuotaBytes, poolQuotaObjects, poolCompressedUsed, poolCompressedFrom,
		poolReads, poolReadBytes, poolWrites, poolWrittenBytes,
	}
	for _, f := range flagFamilies {
		families = append(families, f.family)
	}
	for _, f := range pgStateFamilies {
		families = append(families, f.family)
	}
	return families
}

// namedFamily is the family of one flag or state.
type namedFamily struct {
	name   string
	family *Family
}

func flags(table [][2]string) []namedFamily {
	families := make([]namedFamily, 0, len(table))
	for _, row := range table {
		name := "ceph_osd_flag_" + strings.ReplaceAll(row[0], "-", "_")
		families = append(families, namedFamily{
			row[0],
			cephGauge(name, "Whether the flag "+row[0]+" is set for all OSDs: "+row[1]+".", nil, "osd dump", costOSDMap),
		})
	}
	return families
}

func pgStates(table [][2]string) []namedFamily {
	families := make([]namedFamily, 0, len(table))
	for _, row := range table {
		families = append(families, namedFamily{
			row[0],
			cephGauge("ceph_pg_"+row[0], "Placement groups of the pool that "+row[1]+".", poolLabel, "pg stat, pg dump pgs_brief", costPGStates),
		})
	}
	return families
}

func cephGauge(name, help string, labels []string, source, cost string) *Family {
	return &Family{Name: name, Help: help, Kind: Gauge, Labels: labels, Source: source, Cost: cost, Ceph: true}
}

func usage(name, help string, labels []string) *Family {
	return cephGauge(name, help, labels, "df detail", costMon)
}

func poolRecovery(name, help string) *Family {
	return cephGauge(name, help, poolLabel, "osd pool stats", costMgr)
}

func poolIO(name, help string) *Family {
	return &Family{Name: name, Help: help, Kind: Counter, Labels: poolLabel, Source: "df detail", Cost: costMon, Ceph: true}
}
