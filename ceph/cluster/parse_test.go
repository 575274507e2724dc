package cluster

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// must parses an answer that must be good.
func must[T any](t *testing.T, parse func([]byte) (T, error), path string) T {
	t.Helper()
	v, err := parse(read(t, path))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

func check(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseHealth(t *testing.T) {
	want := Health{Status: "HEALTH_WARN", Checks: map[string]Check{
		"MON_DISK_LOW": {"HEALTH_WARN", "mon a is low on available space", []string{"mon.a has 29% avail"}},
		"OSDMAP_FLAGS": {"HEALTH_WARN", "noout flag(s) set", nil},
		"OSD_DOWN":     {"HEALTH_WARN", "1 osds down", []string{"osd.2 (root=default,host=node1) is down"}},
		"PG_DEGRADED": {"HEALTH_WARN", "Degraded data redundancy: 6/12 objects degraded (50.000%), 6 pgs degraded", []string{
			"pg 3.9 is active+undersized+degraded, acting [0]",
			"pg 3.a is active+undersized+degraded, acting [1]",
			"pg 3.c is active+undersized+degraded, acting [1]",
			"pg 3.d is active+undersized+degraded, acting [1]",
			"pg 3.11 is active+undersized+degraded, acting [0]",
			"pg 3.14 is active+undersized+degraded, acting [1]",
		}},
	}}
	check(t, want, must(t, ParseHealth, "16.2/osd-down/health.json"))
}

func TestDaemonCounts(t *testing.T) {
	for _, test := range []struct {
		name   string
		check  Check
		want   DaemonCount
		counts map[string]int // -1 is unknown
	}{
		{
			"one daemon",
			Check{Summary: "42 slow ops, oldest one blocked for 12 sec, osd.3 has slow ops"},
			DaemonCount{Total: 42, Daemons: []string{"osd.3"}},
			map[string]int{"osd.3": 42, "osd.1": 0},
		},
		{
			"two daemons",
			Check{Summary: "7 slow ops, oldest one blocked for 31 sec, daemons [osd.0,mon.a] have slow ops."},
			DaemonCount{Total: 7, Daemons: []string{"osd.0", "mon.a"}},
			map[string]int{"osd.0": 1, "mon.a": 1, "osd.1": 0},
		},
		{
			"more than are named",
			Check{Summary: "90 slow ops, oldest one blocked for 31 sec, daemons [osd.0,osd.1]... have slow ops."},
			DaemonCount{Total: 90, Daemons: []string{"osd.0", "osd.1"}, More: true},
			map[string]int{"osd.0": 1, "osd.5": -1},
		},
		{
			"a mon with a dotted name",
			Check{Summary: "1 slow ops, oldest one blocked for 31 sec, mon.node1.example.org has slow ops"},
			DaemonCount{Total: 1, Daemons: []string{"mon.node1.example.org"}},
			map[string]int{"mon.node1.example.org": 1},
		},
		{
			"nobody named",
			Check{Summary: "3 slow ops"},
			DaemonCount{Total: 3, More: true},
			map[string]int{"osd.0": -1},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Health{Checks: map[string]Check{"SLOW_OPS": test.check}}.SlowOps()
			if err != nil {
				t.Fatal(err)
			}
			check(t, test.want, got)
			for daemon, want := range test.counts {
				n, known := got.Of(daemon)
				if known != (want >= 0) || known && n != uint64(want) {
					t.Errorf("Of(%s) = %d, %v, want %d", daemon, n, known, want)
				}
			}
		})
	}
}

func TestDaemonCountsWithoutCheck(t *testing.T) {
	for _, count := range []func(Health) (DaemonCount, error){Health.SlowOps, Health.PendingPGs} {
		got, err := count(Health{})
		if err != nil {
			t.Fatal(err)
		}
		if n, known := got.Of("osd.0"); n != 0 || !known {
			t.Errorf("Of(osd.0) = %d, %v, want 0", n, known)
		}
	}
}

func TestPendingPGs(t *testing.T) {
	h := Health{Checks: map[string]Check{"PENDING_CREATING_PGS": {
		Summary: "5 PGs pending on creation", Details: []string{"osds [osd.1,osd.2] have pending PGs."},
	}}}
	got, err := h.PendingPGs()
	if err != nil {
		t.Fatal(err)
	}
	check(t, DaemonCount{Total: 5, Daemons: []string{"osd.1", "osd.2"}}, got)
}

func TestSlowOpsWithoutCount(t *testing.T) {
	if _, err := (Health{Checks: map[string]Check{"SLOW_OPS": {Summary: "many slow ops"}}}).SlowOps(); err == nil {
		t.Error("no error")
	}
}

func TestParseQuorum(t *testing.T) {
	for _, release := range []string{"16.2/osd-down", "18.2/no-modules", "20.2/healthy"} {
		t.Run(release, func(t *testing.T) {
			want := []Mon{{Name: "a", Rank: 0, Addr: "127.0.0.1", InQuorum: true}}
			check(t, want, must(t, ParseQuorum, release+"/quorum_status.json"))
		})
	}
}

func TestParseQuorumWithMonOutOfIt(t *testing.T) {
	got, err := ParseQuorum([]byte(`{"quorum":[0,2],"monmap":{"mons":[
		{"rank":0,"name":"a","public_addr":"[fd00::1]:6789/0"},
		{"rank":1,"name":"b","public_addr":"[fd00::2]:6789/0"},
		{"rank":2,"name":"c","public_addr":"[fd00::3]:6789/0"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	check(t, []Mon{{"a", 0, "[fd00::1]", true}, {"b", 1, "[fd00::2]", false}, {"c", 2, "[fd00::3]", true}}, got)
}

func TestParseOSDMap(t *testing.T) {
	want := OSDMap{
		Epoch:         51,
		Flags:         []string{"noout", "sortbitwise", "recovery_deletes", "purged_snapdirs", "pglog_hardlimit"},
		FullRatio:     0.949999988079071,
		NearfullRatio: 0.8500000238418579,
		OSDs: []OSD{
			{ID: 0, Weight: 1, Up: true, In: true, UpFrom: 5, PublicAddr: "127.0.0.1", ClusterAddr: "127.0.0.1"},
			{ID: 1, Weight: 0.899993896484375, Up: true, In: true, UpFrom: 10, PublicAddr: "127.0.0.1", ClusterAddr: "127.0.0.1"},
			{ID: 2, Weight: 1, In: true, UpFrom: 16, PublicAddr: "127.0.0.1", ClusterAddr: "127.0.0.1"},
		},
		Pools: []Pool{
			{1, "device_health_metrics", "replicated", "replica:2", "none", []string{"mgr_devicehealth"}},
			{3, "vms", "replicated", "replica:2", "none", []string{"rbd"}},
			{4, "backup", "erasure", "ec:2+1", "aggressive", nil},
		},
		Blocklisted: 4,
	}
	check(t, want, must(t, ParseOSDMap, "16.2/osd-down/osd_dump.json"))
}

func TestParseOSDMapOf20(t *testing.T) {
	m := must(t, ParseOSDMap, "20.2/healthy/osd_dump.json")
	if m.Blocklisted != 7 {
		t.Errorf("blocklisted %d, want 7", m.Blocklisted)
	}
	i := slices.IndexFunc(m.Pools, func(p Pool) bool { return p.Name == "vms" })
	check(t, Pool{2, "vms", "replicated", "replica:2", "none", []string{"rbd", "rgw"}}, m.Pools[i])
}

// The words for an address that an OSD does not have yet are those of several releases.
func TestParseOSDMapWithNewOSD(t *testing.T) {
	for _, addr := range []string{"(unrecognized address family 0)/0", ":/0", "-"} {
		got, err := ParseOSDMap([]byte(`{"epoch":7,"flags":"","osds":[{"osd":3,"weight":1,"up":0,"in":1,"up_from":0,
			"state":["exists","new"],"public_addr":"` + addr + `","cluster_addr":"` + addr + `"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		check(t, []OSD{{ID: 3, Weight: 1, In: true, New: true}}, got.OSDs)
	}
}

func TestParseDeviceClasses(t *testing.T) {
	check(t, map[int]string{0: "hdd", 1: "hdd", 2: "hdd", 3: "hdd"}, must(t, ParseDeviceClasses, "16.2/block-devices/osd_tree.json"))
}

func TestParseMetadata(t *testing.T) {
	for release, want := range map[string]Metadata{
		"16.2/osd-down":   {"node1", "ceph version 16.2.15 (618f440892089921c3e944a991122ddc44e60516) pacific (stable)", "pacific"},
		"18.2/no-modules": {"node1", "ceph version 18.2.7 (6b0e988052ec84cf2d4a54ff9bbbc5e720b621ad) reef (stable)", "reef"},
		"20.2/healthy": {
			"node1", "ceph version 20.2.4 (7f793731f1b39eb4f465e960113d2363c311b964) tentacle (stable - RelWithDebInfo)", "tentacle",
		},
	} {
		check(t, map[string]Metadata{"a": want}, must(t, ParseMetadata, release+"/mon_metadata.json"))
		check(t, map[string]Metadata{"x": want}, must(t, ParseMetadata, release+"/mgr_metadata.json"))
	}
}

func TestParseOSDMetadata(t *testing.T) {
	got := must(t, ParseOSDMetadata, "16.2/block-devices/osd_metadata.json")
	want := OSDMetadata{
		Metadata:    Metadata{"node1", "ceph version 16.2.15 (618f440892089921c3e944a991122ddc44e60516) pacific (stable)", "pacific"},
		ObjectStore: "bluestore",
		Device:      "/dev/loop0",
		DBDevice:    "/dev/loop1",
		Devices:     "loop0,loop1",
	}
	check(t, want, got[3])
	if len(got) != 4 {
		t.Errorf("%d OSDs, want 4", len(got))
	}
}

func TestParseMgrMap(t *testing.T) {
	for release, want := range map[string]map[string]MgrModule{
		"16.2/osd-down": {"prometheus": {"prometheus", true, true}, "influx": {"influx", false, false}, "status": {"status", true, false}},
		// No Python module runs there.
		"18.2/no-modules": {"prometheus": {"prometheus", false, false}},
		"20.2/healthy":    {"prometheus": {"prometheus", true, true}},
	} {
		t.Run(release, func(t *testing.T) {
			m := must(t, ParseMgrMap, release+"/mgr_dump.json")
			if m.Active != "x" || m.Epoch == 0 || m.Standbys != nil {
				t.Errorf("active %q, epoch %d, standbys %v", m.Active, m.Epoch, m.Standbys)
			}
			for name, module := range want {
				i := slices.IndexFunc(m.Modules, func(m MgrModule) bool { return m.Name == name })
				if i < 0 {
					t.Fatalf("no module %s", name)
				}
				check(t, module, m.Modules[i])
			}
			if !slices.Contains(m.AlwaysOn["pacific"], "status") {
				t.Errorf("always on: %v", m.AlwaysOn)
			}
		})
	}
}

func TestParseFSMap(t *testing.T) {
	for release, want := range map[string]FSMap{
		"16.2/osd-down": {Epoch: 1},
		"16.2/services": {
			Epoch:       6,
			FileSystems: []FileSystem{{1, "lab", 6, []int64{7, 8}}},
			MDSs:        []MDS{{"a", 1, 0, "127.0.0.1:6827/1405984835"}, {"b", NoFileSystem, -1, "127.0.0.1:6829/3540035709"}},
		},
		"18.2/no-modules": {
			Epoch:       6,
			FileSystems: []FileSystem{{1, "lab", 3, []int64{5}}},
			MDSs:        []MDS{{"a", 1, 0, "127.0.0.1:6823/1554701830"}, {"b", NoFileSystem, -1, "127.0.0.1:6821/2953039116"}},
		},
		"20.2/healthy": {
			Epoch:       6,
			FileSystems: []FileSystem{{1, "lab", 3, []int64{5}}},
			MDSs:        []MDS{{"a", NoFileSystem, -1, "127.0.0.1:6817/1005501892"}, {"b", 1, 0, "127.0.0.1:6819/1189169193"}},
		},
	} {
		t.Run(release, func(t *testing.T) { check(t, want, must(t, ParseFSMap, release+"/fs_dump.json")) })
	}
}

func TestParseServices(t *testing.T) {
	pacific := Metadata{"node1", "ceph version 16.2.15 (618f440892089921c3e944a991122ddc44e60516) pacific (stable)", "pacific"}
	reef := Metadata{"node1", "ceph version 18.2.7 (6b0e988052ec84cf2d4a54ff9bbbc5e720b621ad) reef (stable)", "reef"}
	tentacle := Metadata{
		"node1", "ceph version 20.2.4 (7f793731f1b39eb4f465e960113d2363c311b964) tentacle (stable - RelWithDebInfo)", "tentacle",
	}
	for release, want := range map[string][]Service{
		"16.2/osd-down":   nil,
		"16.2/services":   {{pacific, "rbd-mirror", "4165", "a", "4165"}, {pacific, "rgw", "4168", "gate", ""}},
		"18.2/no-modules": {{reef, "rbd-mirror", "4154", "a", "4154"}, {reef, "rgw", "4145", "gate", ""}},
		"20.2/healthy":    {{tentacle, "rbd-mirror", "4171", "a", "4171"}, {tentacle, "rgw", "4160", "gate", ""}},
	} {
		t.Run(release, func(t *testing.T) { check(t, want, must(t, ParseServices, release+"/service_dump.json")) })
	}
}

// Daemons of the maps stand there too for a while after they have told the mgr their state.
func TestParseServicesOfMaps(t *testing.T) {
	got, err := ParseServices([]byte(`{"epoch":3,"services":{"mds":{"daemons":{"summary":"","a":{"start_epoch":0,
		"start_stamp":"0.000000","gid":0,"addr":"(unrecognized address family 0)/0","metadata":{},"task_status":{}}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	check(t, []Service(nil), got)
}

func TestParseDF(t *testing.T) {
	got := must(t, ParseDF, "16.2/osd-down/df.json")
	check(t, Usage{6442450944, 913969152, 913969152}, got.Usage)
	check(t, map[string]Usage{"hdd": got.Usage}, got.ByClass)
	check(t, PoolUsage{
		ID: 3, Stored: 25772, StoredRaw: 25772, Objects: 6, BytesUsed: 57344, PercentUsed: 1.1014283700205851e-05,
		MaxAvail: 5206273024, AvailRaw: 5206272996, QuotaBytes: 1073741824,
		Reads: 6, ReadBytes: 3072, Writes: 7, WrittenBytes: 19456,
	}, got.Pools[1])
}

func TestParseWordsForNumbers(t *testing.T) {
	got, err := ParseDF([]byte(`{"stats":{"total_bytes":18446744073709551615},"pools":[
		{"name":"inf\"nan","id":1,"stats":{"percent_used":-nan,"max_avail":inf,"stored":-inf,"objects":1e400,"rd":null}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	p := got.Pools[0]
	if !math.IsNaN(float64(p.PercentUsed)) || !math.IsInf(float64(p.MaxAvail), 1) || !math.IsInf(float64(p.Stored), -1) ||
		!math.IsInf(float64(p.Objects), 1) || p.Reads != 0 || got.Total != 1<<64 {
		t.Errorf("%+v", got)
	}
}

func TestParsePGs(t *testing.T) {
	check(t, PGStates{
		"active+clean": 5, "active+undersized": 46, "active+undersized+degraded": 6, "active+undersized+remapped": 8,
	}, must(t, ParsePGStat, "16.2/osd-down/pg_stat.json"))
	check(t, map[int64]PGStates{
		1: {"active+clean": 1},
		3: {"active+clean": 4, "active+undersized": 22, "active+undersized+degraded": 6},
		4: {"active+undersized": 24, "active+undersized+remapped": 8},
	}, must(t, ParsePGBrief, "16.2/osd-down/pg_dump_brief.json"))
	check(t, []PoolPGs{{PoolID: 4, PGs: 32}, {PoolID: 3, PGs: 32, Degraded: 6}, {PoolID: 1, PGs: 1}},
		must(t, ParsePoolPGs, "16.2/osd-down/pg_dump_pools.json"))
}

func TestParsePGsNotReady(t *testing.T) {
	answer := []byte(`{"pg_ready":false}`)
	_, stat := ParsePGStat(answer)
	_, brief := ParsePGBrief(answer)
	_, pools := ParsePoolPGs(answer)
	for _, err := range []error{stat, brief, pools} {
		if !errors.Is(err, ErrNotReady) {
			t.Errorf("error %v, want ErrNotReady", err)
		}
	}
}

func TestParseOSDPerf(t *testing.T) {
	got := must(t, ParseOSDPerf, "16.2/block-devices/osd_perf.json")
	if len(got) != 4 || !slices.Contains(got, OSDLatency{ID: 3, Commit: 2, Apply: 2}) {
		t.Errorf("%+v", got)
	}
}

func TestParsePoolRecovery(t *testing.T) {
	got, err := ParsePoolRecovery([]byte(`[{"pool_name":"vms","pool_id":3,"recovery":{},"recovery_rate":{
		"recovering_objects_per_sec":4,"recovering_bytes_per_sec":16777216,"recovering_keys_per_sec":2,
		"num_objects_recovered":21,"num_bytes_recovered":83886080,"num_keys_recovered":10},"client_io_rate":{}}]`))
	if err != nil {
		t.Fatal(err)
	}
	check(t, []PoolRecovery{{PoolID: 3, ObjectsPerSecond: 4, BytesPerSecond: 16777216, KeysPerSecond: 2, Objects: 21, Bytes: 83886080}}, got)
	check(t, []PoolRecovery{{PoolID: 1}, {PoolID: 3}, {PoolID: 4}}, must(t, ParsePoolRecovery, "16.2/osd-down/osd_pool_stats.json"))
}

func TestParseEpoch(t *testing.T) {
	if got := must(t, ParseEpoch, "16.2/osd-down/osd_stat.json"); got != 51 {
		t.Errorf("epoch %d, want 51", got)
	}
	if got := must(t, ParseEpoch, "16.2/osd-down/mgr_stat.json"); got == 0 {
		t.Error("no epoch")
	}
	if _, err := ParseEpoch([]byte(`{}`)); err == nil {
		t.Error("no error without an epoch")
	}
}

func TestParseMonState(t *testing.T) {
	got, err := ParseMonState([]byte(`{"name":"a","rank":0,"state":"leader","quorum":[0]}`))
	if err != nil {
		t.Fatal(err)
	}
	check(t, MonState{"a", "leader"}, got)
}

func TestParseBrokenAnswers(t *testing.T) {
	for _, answer := range []string{"", "ERROR: (22) Invalid argument", `{"epoch":`, "[", `{"status":7}`, `{"status":"green"}`, "\x00"} {
		for name, parse := range parsers() {
			if err := parse([]byte(answer)); err == nil {
				t.Errorf("%s takes %q", name, answer)
			}
		}
	}
}

// parsers returns every parser by the file that it reads.
func parsers() map[string]func([]byte) error {
	return map[string]func([]byte) error{
		"health":         ignore(ParseHealth),
		"quorum_status":  ignore(ParseQuorum),
		"mon_metadata":   ignore(ParseMetadata),
		"osd_stat":       ignore(ParseEpoch),
		"osd_dump":       ignore(ParseOSDMap),
		"osd_tree":       ignore(ParseDeviceClasses),
		"osd_metadata":   ignore(ParseOSDMetadata),
		"mgr_dump":       ignore(ParseMgrMap),
		"fs_dump":        ignore(ParseFSMap),
		"service_dump":   ignore(ParseServices),
		"df":             ignore(ParseDF),
		"pg_stat":        ignore(ParsePGStat),
		"pg_dump_pools":  ignore(ParsePoolPGs),
		"pg_dump_brief":  ignore(ParsePGBrief),
		"osd_perf":       ignore(ParseOSDPerf),
		"osd_pool_stats": ignore(ParsePoolRecovery),
		"mon_status":     ignore(ParseMonState),
	}
}

func ignore[T any](parse func([]byte) (T, error)) func([]byte) error {
	return func(data []byte) error {
		_, err := parse(data)
		return err
	}
}
