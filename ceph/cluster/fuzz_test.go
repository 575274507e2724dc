package cluster

import (
	"os"
	"path/filepath"
	"testing"
)

// fuzz feeds a parser with the real answers of a command and what the fuzzer makes of them. No parser may panic.
func fuzz[T any](f *testing.F, file string, parse func([]byte) (T, error)) {
	paths, err := filepath.Glob("testdata/ceph/*/*/" + file + ".json")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"stats":{"total_bytes":inf},"pools":[{"stats":{"percent_used":-nan}}]}`))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = parse(data) })
}

func FuzzParseQuorum(f *testing.F)        { fuzz(f, "quorum_status", ParseQuorum) }
func FuzzParseMetadata(f *testing.F)      { fuzz(f, "mon_metadata", ParseMetadata) }
func FuzzParseEpoch(f *testing.F)         { fuzz(f, "osd_stat", ParseEpoch) }
func FuzzParseOSDMap(f *testing.F)        { fuzz(f, "osd_dump", ParseOSDMap) }
func FuzzParseDeviceClasses(f *testing.F) { fuzz(f, "osd_tree", ParseDeviceClasses) }
func FuzzParseOSDMetadata(f *testing.F)   { fuzz(f, "osd_metadata", ParseOSDMetadata) }
func FuzzParseMgrMap(f *testing.F)        { fuzz(f, "mgr_dump", ParseMgrMap) }
func FuzzParseFSMap(f *testing.F)         { fuzz(f, "fs_dump", ParseFSMap) }
func FuzzParseServices(f *testing.F)      { fuzz(f, "service_dump", ParseServices) }
func FuzzParseDF(f *testing.F)            { fuzz(f, "df", ParseDF) }
func FuzzParsePGStat(f *testing.F)        { fuzz(f, "pg_stat", ParsePGStat) }
func FuzzParsePoolPGs(f *testing.F)       { fuzz(f, "pg_dump_pools", ParsePoolPGs) }
func FuzzParsePGBrief(f *testing.F)       { fuzz(f, "pg_dump_brief", ParsePGBrief) }
func FuzzParseOSDPerf(f *testing.F)       { fuzz(f, "osd_perf", ParseOSDPerf) }
func FuzzParsePoolRecovery(f *testing.F)  { fuzz(f, "osd_pool_stats", ParsePoolRecovery) }
func FuzzParseMonState(f *testing.F)      { fuzz(f, "mon_status", ParseMonState) }

func FuzzParseHealth(f *testing.F) {
	fuzz(f, "health", func(data []byte) (Health, error) {
		h, err := ParseHealth(data)
		if err == nil {
			_, _ = h.SlowOps()
			_, _ = h.PendingPGs()
		}
		return h, err
	})
}
