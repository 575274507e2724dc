package kvm

import (
	"encoding/json"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/digitalocean/go-qemu/qmp/raw"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the golden files anew")

func releases(t testing.TB) []string {
	t.Helper()
	dirs, err := filepath.Glob("testdata/qemu/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no answers: %v", err)
	}
	for i, dir := range dirs {
		dirs[i] = filepath.Base(dir)
	}
	return dirs
}

// TestBlockGolden reads the answers of every release of QEMU, and compares with what was checked by eye.
func TestBlockGolden(t *testing.T) {
	for _, release := range releases(t) {
		t.Run(release, func(t *testing.T) {
			devices, err := ParseBlock(readAnswer(t, release, QueryBlock))
			if err != nil {
				t.Fatal(err)
			}
			var lines []byte
			for _, d := range devices {
				line, err := json.Marshal(d)
				if err != nil {
					t.Fatal(err)
				}
				lines = append(append(lines, line...), '\n')
			}
			golden := filepath.Join("testdata/qemu", release, "block.golden")
			if *update {
				if err := os.WriteFile(golden, lines, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(lines)); diff != "" {
				t.Errorf("devices differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStatsAgreeWithBlock checks that both answers give the disks in the same order and by the same names.
func TestStatsAgreeWithBlock(t *testing.T) {
	for _, release := range releases(t) {
		devices, err := ParseBlock(readAnswer(t, release, QueryBlock))
		if err != nil {
			t.Fatal(err)
		}
		stats, err := new(Parser).BlockStats(readAnswer(t, release, QueryBlockStats))
		if err != nil {
			t.Fatal(err)
		}
		if len(stats) != len(devices) {
			t.Fatalf("%s: %d disks with statistics, %d devices", release, len(stats), len(devices))
		}
		for i := range stats {
			if !stats[i].Same(devices[i].BlockID) {
				t.Errorf("%s: disk %d is %+v, device is %+v", release, i, stats[i].BlockID, devices[i].BlockID)
			}
		}
	}
}

// TestStatsAgreeWithGoQEMU compares with what go-qemu reads from the same answers, for what it knows.
func TestStatsAgreeWithGoQEMU(t *testing.T) {
	for _, release := range releases(t) {
		answer := readAnswer(t, release, QueryBlockStats)
		var theirs struct{ Return []raw.BlockStats }
		if err := json.Unmarshal(answer, &theirs); err != nil {
			t.Fatal(err)
		}
		ours, err := new(Parser).BlockStats(answer)
		if err != nil {
			t.Fatal(err)
		}
		var want []BlockStats
		for _, s := range theirs.Return {
			want = append(want, fromGoQEMU(s))
		}
		ignore := cmp.Options{
			cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-12, 0),
			cmpopts.IgnoreFields(BlockID{}, "Qdev", "Below"), cmpopts.IgnoreFields(BlockStats{}, "Unmap"),
		}
		if diff := cmp.Diff(want, ours, ignore); diff != "" {
			t.Errorf("%s (-go-qemu +ours):\n%s", release, diff)
		}
	}
}

func fromGoQEMU(s raw.BlockStats) BlockStats {
	c := s.Stats
	b := BlockStats{IdleSeconds: math.NaN()}
	if s.Device != nil {
		b.Device = *s.Device
	}
	if s.NodeName != nil {
		b.Node = *s.NodeName
	}
	if c.IdleTimeNs != nil {
		b.IdleSeconds = float64(*c.IdleTimeNs) * nanosecond
	}
	count := func(n, bytes, merged, failed, invalid, nanoseconds int64) Operations {
		return Operations{
			Count: float64(n), Bytes: float64(bytes), Merged: float64(merged), Failed: float64(failed),
			Invalid: float64(invalid), Seconds: float64(nanoseconds) * nanosecond,
		}
	}
	b.Read = count(c.RdOperations, c.RdBytes, c.RdMerged, c.FailedRdOperations, c.InvalidRdOperations, c.RdTotalTimeNs)
	b.Write = count(c.WrOperations, c.WrBytes, c.WrMerged, c.FailedWrOperations, c.InvalidWrOperations, c.WrTotalTimeNs)
	b.Flush = count(c.FlushOperations, 0, 0, c.FailedFlushOperations, c.InvalidFlushOperations, c.FlushTotalTimeNs)
	return b
}

func TestStatsOfEveryCounter(t *testing.T) {
	got, err := new(Parser).BlockStats([]byte(`{"return": [{"device": "d", "stats": {
		"rd_operations": 1, "rd_bytes": 2, "rd_merged": 3, "rd_total_time_ns": 4000000000, "failed_rd_operations": 5, "invalid_rd_operations": 6,
		"wr_operations": 11, "wr_bytes": 12, "wr_merged": 13, "wr_total_time_ns": 14000000000, "failed_wr_operations": 15, "invalid_wr_operations": 16,
		"flush_operations": 21, "flush_total_time_ns": 24000000000, "failed_flush_operations": 25, "invalid_flush_operations": 26,
		"unmap_operations": 31, "unmap_bytes": 9223372036854775808, "unmap_merged": 33, "unmap_total_time_ns": 34000000000,
		"failed_unmap_operations": 35, "invalid_unmap_operations": 36, "idle_time_ns": 500000000,
		"account_failed": true, "timed_stats": [{}], "wr_highest_offset": 7}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []BlockStats{{
		BlockID: BlockID{Device: "d"},
		Read:    Operations{1, 2, 3, 5, 6, 4}, Write: Operations{11, 12, 13, 15, 16, 14},
		Flush: Operations{21, 0, 0, 25, 26, 24}, Unmap: Operations{31, 1 << 63, 33, 35, 36, 34},
		IdleSeconds: 0.5,
	}}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(1e-12, 0)); diff != "" {
		t.Errorf("counters differ (-want +got):\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		id   BlockID
		want []string
	}{
		{BlockID{"disk-a", "#block113", "/machine/peripheral/disk-a/virtio-backend", nil}, []string{"disk-a", "disk-a"}},
		{BlockID{"", "disk-a", "/machine/peripheral/disk-b/virtio-backend", nil}, []string{"disk-b", "disk-a"}},
		{BlockID{"", "thr0", "disk1-dev", []string{"disk-a"}}, []string{"disk1-dev", "thr0", "disk-a"}},
		{BlockID{"ide1-cd0", "", "/machine/unattached/device[21]", nil}, []string{"ide1-cd0"}},
	} {
		if diff := cmp.Diff(test.want, test.id.Names()); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.id, diff)
		}
	}
}

func TestParsersRefuse(t *testing.T) {
	for _, answer := range []string{
		"", "7", "[]", "{}", `{"return": 7}`, `{"return": {}}`, `{"return": [7]}`, `{"return": [{}]}`, `{"return": [`,
		`{"return": [{"stats": {"rd_bytes": "many"}}]}`, `{"return": [{"stats": 1, "inserted": 1}]}`,
	} {
		if got, err := new(Parser).BlockStats([]byte(answer)); !errors.Is(err, ErrAnswer) {
			t.Errorf("statistics %q: got %v and error %v", answer, got, err)
		}
	}
	for _, answer := range []string{"", "7", "[]", "{}", `{"return": 7}`, `{"return": [7]}`, `{"return": [`} {
		if got, err := ParseBlock([]byte(answer)); !errors.Is(err, ErrAnswer) {
			t.Errorf("devices %q: got %v and error %v", answer, got, err)
		}
		if got, err := new(Parser).Status([]byte(answer)); !errors.Is(err, ErrAnswer) {
			t.Errorf("status %q: got %v and error %v", answer, got, err)
		}
	}
}

func TestParseStatus(t *testing.T) {
	for _, release := range []string{"7.2-drive", "10.0-blockdev", "11.1-blockdev"} {
		got, err := new(Parser).Status(readAnswer(t, release, QueryStatus))
		if err != nil || got != "running" {
			t.Errorf("%s: got %q and error %v", release, got, err)
		}
	}
}

// wantScannedAsParsed wants what is scanned to be what is parsed, by a parser that has read another answer before. It returns whether
// the answer was scanned.
func wantScannedAsParsed(t *testing.T, scanner *Parser, answer []byte) bool {
	t.Helper()
	if !scanner.scanBlockStats(answer) {
		return false
	}
	var parser Parser
	if err := parser.parseBlockStats(answer); err != nil {
		t.Fatalf("scanned, but %v: %s", err, answer)
	}
	if diff := cmp.Diff(parser.stats, scanner.stats, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("(-parsed +scanned):\n%s\nof %s", diff, answer)
	}
	return true
}

// wantStatusScannedAsParsed does the same for a status.
func wantStatusScannedAsParsed(t *testing.T, scanner *Parser, answer []byte) bool {
	t.Helper()
	if !scanner.scanStatus(answer) {
		return false
	}
	if parsed, err := parseStatus(answer); parsed != scanner.status || err != nil {
		t.Fatalf("scanned %q, parsed %q and error %v: %s", scanner.status, parsed, err, answer)
	}
	return true
}

// TestScanReadsQEMU checks that what each release of QEMU gives is read the fast way.
func TestScanReadsQEMU(t *testing.T) {
	var scanner Parser
	for range 2 {
		for _, release := range releases(t) {
			if !wantScannedAsParsed(t, &scanner, readAnswer(t, release, QueryBlockStats)) {
				t.Errorf("%s: statistics are not scanned", release)
			}
			if status := readAnswer(t, release, QueryStatus); !scanner.scanStatus(status) || scanner.status != "running" {
				t.Errorf("%s: %s is not scanned: %q", release, status, scanner.status)
			}
		}
	}
}

// TestScan checks what is not as QEMU gives it: what is scanned is what is parsed, and the rest is left alone.
func TestScan(t *testing.T) {
	var scanner Parser
	for answer, want := range map[string]bool{
		`{"return":[]}`: true, ` { "return" : [ { "stats" : { } } ] } `: true,
		`{"return":[{"stats":{"rd_bytes":18446744073709551615,"new":[{"x":1}],"idle_time_ns":1.5e9},"new":{"a":null}}]}`:         true,
		`{"return":[{"qdev":"q","parent":{"node-name":"a","parent":{"node-name":"#b","parent":{"node-name":"c"}}},"stats":{}}]}`: true,
		`{"return":[{"parent":{"parent":{"node-name":"lower"},"node-name":"upper"},"stats":{},"device":"","node-name":"n"}]}`:    true,
		`{"return":[{"stats":{"rd_bytes":1,"rd_bytes":2}}]}`:                                                                     true,
		`{"return":[{"stats":{}},{"stats":{},"device":"two"}]}`:                                                                  true, `{"return":[{"stats":{},"device":"one"}]}`: true,
		`{"return":[{"stats":{},"stats":{}}]}`: false, `{"return":[{"stats":{},"device":"a","device":"b"}]}`: false,
		`{"return":[{"stats":{},"parent":{"node-name":"a","node-name":"b"}}]}`: false, `{"return":[{"stats":{},"parent":null}]}`: false,
		`{"return":[{"stats":{},"device":7}]}`: false, `{"return":[{"stats":{},"device":"a\\b"}]}`: false, `{"return":[{"device":"a"}]}`: false,
		`{"return":[{"stats":{"rd_bytes":"1"}}]}`: false, `{"return":[{"stats":{"rd_bytes":1.2.3}}]}`: false, `{"return":[{"stats":{"rd_bytes":inf}}]}`: false,
		`{"return":[],"id":1}`: false, `{"id":1,"return":[]}`: false, `{"return":[]} x`: false, `{"return":[`: false, `{"return":[{]}`: false, ``: false,
		`{"return":[{"stats":{},"parent":` + strings.Repeat(`{"parent":`, maxBelow) + `{}` + strings.Repeat(`}`, maxBelow) + `}]}`: false,
	} {
		if got := wantScannedAsParsed(t, &scanner, []byte(answer)); got != want {
			t.Errorf("scanned %v, want %v: %s", got, want, answer)
		}
	}
	for answer, want := range map[string]bool{
		`{"return":{"statuses":"x","status":"running"}}`: true, `{"return":{"statusx:"running"}}`: false,
		`{"return":{"status":"","status":"running"}}`: false, `{"return":{"running":true,"status":"running"}}`: true,
		`{"return":{"status":"paused","running":false}}`: true, `{"return":{"new":{"status":"x"},"status":"running"}}`: true,
		`{"return":{"status":"running"},"id":1}`: false, `{"return":{"status":7}}`: false, `{"return":{"status":""}}`: false, `{"return":{}}`: false,
		`{"return":{"status":"running"`: false, `{"return":{"status":"running","status":"paused"}}`: true,
	} {
		if got := wantStatusScannedAsParsed(t, &scanner, []byte(answer)); got != want {
			t.Errorf("status scanned %v, want %v: %s", got, want, answer)
		}
	}
}

// TestAnswersOfOtherForms checks that what is not scanned is read all the same.
func TestAnswersOfOtherForms(t *testing.T) {
	var p Parser
	stats, err := p.BlockStats([]byte(`{"id":1,"return":[{"device":"a\u0062","stats":{"rd_bytes":7}}]}`))
	if err != nil || len(stats) != 1 || stats[0].Device != "ab" || stats[0].Read.Bytes != 7 {
		t.Errorf("got %+v and error %v", stats, err)
	}
	if status, err := p.Status([]byte(`{"id":1,"return":{"status":"paused"}}`)); status != "paused" || err != nil {
		t.Errorf("got %q and error %v", status, err)
	}
}

func FuzzParseBlockStats(f *testing.F) {
	for _, release := range releases(f) {
		f.Add(readAnswer(f, release, QueryBlockStats))
	}
	f.Add([]byte(`{"return":[{"stats":{"rd_bytes":1},"parent":{"node-name":"a","parent":{"node-name":"b"}}}]}`))
	var parser Parser
	f.Fuzz(func(t *testing.T, answer []byte) {
		wantScannedAsParsed(t, &parser, answer)
		stats, err := parser.BlockStats(answer)
		if err != nil {
			return
		}
		for _, s := range stats {
			s.Names()
		}
	})
}

func FuzzParseStatus(f *testing.F) {
	for _, answer := range []string{`{"return":{"status":"paused","running":false}}`, `{"return":{"x":[{"status":1}],"status":"","status":"a"}}`} {
		f.Add([]byte(answer))
	}
	var parser Parser
	f.Fuzz(func(t *testing.T, answer []byte) {
		wantStatusScannedAsParsed(t, &parser, answer)
		if status, err := parser.Status(answer); (status == "") == (err == nil) {
			t.Errorf("got %q and error %v", status, err)
		}
	})
}

func FuzzParseBlock(f *testing.F) {
	for _, release := range releases(f) {
		f.Add(readAnswer(f, release, QueryBlock))
	}
	f.Fuzz(func(t *testing.T, answer []byte) { ParseBlock(answer) })
}

func BenchmarkParseBlockStats(b *testing.B) {
	answer := readAnswer(b, "7.2-blockdev", QueryBlockStats)
	var parser Parser
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parser.BlockStats(answer); err != nil {
			b.Fatal(err)
		}
	}
}
