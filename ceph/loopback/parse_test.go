package loopback

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMappedPools(t *testing.T) {
	for release, want := range map[string][]uint64{"16.2": {1, 2}, "18.2": {1}, "20.2": {1, 2}} {
		data, err := os.ReadFile(filepath.Join("testdata/ceph", release, "get_mapped_pools.json"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseMappedPools(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", release, diff)
		}
	}
	for _, bad := range []string{"", "null", "{}", `["1"]`, "[-1]", "ERROR: (22) Invalid argument"} {
		if got, err := ParseMappedPools([]byte(bad)); err == nil {
			t.Errorf("ParseMappedPools(%q) = %v, want an error", bad, got)
		}
	}
	if got, err := ParseMappedPools([]byte("[]")); err != nil || len(got) != 0 {
		t.Errorf("an OSD without pools: %v, %v", got, err)
	}
}

func TestParsePressure(t *testing.T) {
	for text, want := range map[string]float64{
		"some avg10=0.00 avg60=9.00 avg300=0.03 total=405449\nfull avg10=0.00 avg60=1.50 avg300=0.01 total=178587": 0.015,
		"full avg10=0.00 avg60=100.00 avg300=0.01 total=1":                                                         1,
	} {
		if got, err := parsePressure(text); err != nil || got != want {
			t.Errorf("parsePressure(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "some avg10=0.00 avg60=0.00", "full avg60=x", "full avg60=-1", "full avg60=101", "full avg60=NaN"} {
		if got, err := parsePressure(bad); err == nil {
			t.Errorf("parsePressure(%q) = %v, want an error", bad, got)
		}
	}
}

func TestParseMeminfo(t *testing.T) {
	const whole = "MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable: 40 kB\nDirty: 3 kB\nWriteback: 2 kB\nWritebackTmp: 9 kB\n"
	var got Memory
	if err := parseMeminfo(whole, &got); err != nil {
		t.Fatal(err)
	}
	want := Memory{Total: 100 << 10, Available: 40 << 10, Dirty: 3 << 10, Writeback: 2 << 10, HasInfo: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{
		"", strings.Replace(whole, "MemAvailable", "MemOther", 1), strings.Replace(whole, "3 kB", "3 MB", 1),
		strings.Replace(whole, "100 kB", "many kB", 1), strings.Replace(whole, "100 kB", "0 kB", 1),
	} {
		var m Memory
		if err := parseMeminfo(bad, &m); err == nil || m.HasInfo {
			t.Errorf("parseMeminfo(%q): %v, %+v, want an error", bad, err, m)
		}
	}
}

func TestParseMountinfo(t *testing.T) {
	const text = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
36 22 253:0 / /srv/my\040files rw,noatime - xfs /dev/mapper/vg-srv rw,attr2
38 22 252:80 / /snap rw shared:21 master:3 - ext4 /dev/rbd5 ro
broken line
40 22 252:80 / /x rw - ext4
`
	want := []mount{
		{number: "8:1", source: "/dev/sda1", point: "/", fs: "ext4"},
		{number: "253:0", source: "/dev/mapper/vg-srv", point: "/srv/my files", fs: "xfs"},
		{number: "252:80", source: "/dev/rbd5", point: "/snap", fs: "ext4", readOnly: true},
	}
	if diff := cmp.Diff(want, parseMountinfo(text), cmp.AllowUnexported(mount{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseSwaps(t *testing.T) {
	const text = "Filename\tType\tSize\tUsed\tPriority\n/dev/dm-1 partition 1 0 -2\n/srv/my\\040swap file 1 0 -3\n/gone\\040(deleted) file 1 0 -4\n"
	want := []string{"/dev/dm-1", "/srv/my swap", "/gone"}
	if diff := cmp.Diff(want, parseSwaps(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := parseSwaps("Filename\tType\n"); got != nil {
		t.Errorf("no swap: %q", got)
	}
}

func TestParseStat(t *testing.T) {
	for text, want := range map[string]deviceStat{
		"  1 0 8 1  5 0 4 9  2 30 30":                  {finished: "1 5", inFlight: 2},
		"  1 0 8 1  0 0 4 9  0 30 30":                  {finished: "1 0", untouched: true},
		"  1 0 8 1  0 0 4 9  1 30 30":                  {finished: "1 0", inFlight: 1},
		"  1 0 8 1  0 0 4 9  0 30 30  7 0 0 0":         {finished: "1 0 7"},
		"  1 0 8 1  0 0 4 9  0 30 30  0 0 0 0  11 999": {finished: "1 0 0 11", untouched: true},
	} {
		if got, ok := parseStat(text); got != want || !ok {
			t.Errorf("parseStat(%q) = %+v, %v, want %+v", text, got, ok, want)
		}
	}
	for _, bad := range []string{"", "1 2 3", "1 0 8 1 5 0 4 9 many 30 30", "1 0 8 1 5 0 4 9 -1 30 30"} {
		if got, ok := parseStat(bad); ok {
			t.Errorf("parseStat(%q) = %+v, want none", bad, got)
		}
	}
}

func TestParseNBD(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want Mapping
		ok   bool
	}{
		"pool and image": {
			args: []string{"rbd-nbd", "map", "vms/disk"},
			want: Mapping{Driver: NBD, Pool: "vms", Image: "disk"}, ok: true,
		},
		"as rbd device map runs it": {
			args: []string{"/usr/bin/rbd-nbd", "--conf", "/etc/ceph/ceph.conf", "--id", "map", "map", "--device", "/dev/nbd3", "vms/tenant/disk@snap"},
			want: Mapping{Driver: NBD, Pool: "vms", Namespace: "tenant", Image: "disk", Snapshot: "snap", ReadOnly: true}, ok: true,
		},
		"no pool, read-only": {
			args: []string{"rbd-nbd", "map", "disk", "--read-only"},
			want: Mapping{Driver: NBD, Pool: "rbd", Image: "disk", ReadOnly: true}, ok: true,
		},
		"attached": {
			args: []string{"rbd-nbd", "attach", "--device", "/dev/nbd0", "vms/disk"},
			want: Mapping{Driver: NBD, Pool: "vms", Image: "disk"}, ok: true,
		},
		"underscores, and values of their own": {
			args: []string{"rbd-nbd", "map", "--quiesce-hook", "/usr/bin/hook", "--max_part", "8", "--nbds-max", "4", "--read_only", "vms/disk"},
			want: Mapping{Driver: NBD, Pool: "vms", Image: "disk", ReadOnly: true}, ok: true,
		},
		"verb behind options": {
			args: []string{"rbd-nbd", "--id", "map", "list-mapped", "map"},
		},
		"another program": {args: []string{"qemu-nbd", "map", "vms/disk"}},
		"another verb":    {args: []string{"rbd-nbd", "list-mapped"}},
		"no image":        {args: []string{"rbd-nbd", "map", "--device", "/dev/nbd0"}},
		"nothing":         {args: nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := parseNBD(strings.Join(tc.args, "\x00") + "\x00")
			if ok != tc.ok {
				t.Fatalf("ok = %v", ok)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseFlags(t *testing.T) {
	for text, want := range map[string]int{"pos:\t0\nflags:\t02140002\nmnt_id:\t25\n": 0o2140002, "flags:\t0\n": 0} {
		if got, err := parseFlags(text); err != nil || got != want {
			t.Errorf("parseFlags(%q) = %o, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "flags:\t9\n", "pos:\t0\n"} {
		if _, err := parseFlags(bad); err == nil {
			t.Errorf("parseFlags(%q): no error", bad)
		}
	}
}

func TestParseRequests(t *testing.T) {
	const text = `REQUESTS 3 homeless 1
7035	osd1	2.7a1ef1a4	2.4	[1,0]/1	[1,0]/1	e45	rbd_data.10a6f2a2b3c2.0000000000000012	0x400024	1	write
7036	osd-1	2.7a1ef1a5	2.5	[]/-1	[]/-1	e45	rbd_data.7.10a6f2a2b3c2.0000000000000013	0x400024	1	write
broken
LINGER REQUESTS
18446462598732840961	osd1	2.9a	2.1a	[1,0]/1	[1,0]/1	e45	rbd_header.10a6f2a2b3c2	0x20	0	WC/0
BACKOFFS
`
	want := []request{
		{id: "7035", osd: 1, object: "rbd_data.10a6f2a2b3c2.0000000000000012"},
		{id: "7036", osd: -1, object: "rbd_data.7.10a6f2a2b3c2.0000000000000013"},
	}
	if diff := cmp.Diff(want, parseRequests(text), cmp.AllowUnexported(request{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a real kernel says of an OSD that hangs, and when the cluster has marked it down.
func TestParseRequestsOfKernel(t *testing.T) {
	for file, osd := range map[string]int{"osdc-hangs": 0, "osdc-down": -1} {
		text, err := os.ReadFile(filepath.Join("testdata/linux/6.1", file))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, q := range parseRequests(string(text)) {
			for _, image := range []string{"10a3151a0189", "109592a18075"} { // the first is in a namespace
				if q.of(image) && q.osd == osd {
					got[image]++
				}
			}
		}
		if diff := cmp.Diff(map[string]int{"10a3151a0189": 1, "109592a18075": 5}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestRequestOfImage(t *testing.T) {
	for object, want := range map[string]bool{
		"rbd_data.10a6.0000000000000012":   true,
		"rbd_data.7.10a6.0000000000000012": true,
		"rbd_header.10a6":                  true,
		"rbd_object_map.10a6":              true,
		"rbd_data.10a67.0000000000000012":  false,
		"rbd_data.10a7.0000000000000012":   false,
		"rbd_id.disk":                      false,
		"rbd_directory":                    false,
	} {
		if got := (request{object: object}).of("10a6"); got != want {
			t.Errorf("%s is of the image: %v", object, got)
		}
	}
	if (request{object: "rbd_data..0"}).of("") {
		t.Error("an image without an id has requests")
	}
}

func TestShares(t *testing.T) {
	pools := []Pool{{ID: 1, Name: "a", PGs: 1}, {ID: 2, Name: "b", PGs: 4}, {ID: 3, Name: "c", PGs: 8}}
	lists := []PGList{
		{{"1.0", 3}, {"2.0", 3}, {"2.1", 7}, {"9.0", 3}, {"odd", 3}},
		{{"2.0", 3}, {"2.2", 4}},
	}
	want := map[uint64]Share{1: {PGs: 1, Primary: 1, Any: 1}, 2: {PGs: 4, Primary: 2, Any: 3}, 3: {PGs: 8}}
	if diff := cmp.Diff(want, Shares(pools, []int{3, 4}, lists)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParsePGs(t *testing.T) {
	for release, want := range map[string]PGList{
		"16.2": {{"1.0", 0}, {"1.1", 0}, {"1.2", 0}},
		"18.2": {{"1.0", 1}, {"1.1", 2}, {"1.2", 0}},
		"20.2": {{"1.0", 1}, {"2.2", 0}, {"2.4", 1}},
	} {
		data, err := os.ReadFile(filepath.Join("testdata/ceph", release, "pg_ls-by-osd.json"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePGs(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", release, diff)
		}
	}
	got, err := ParsePGs([]byte(`{"pg_ready":true,"pg_stats":[{"pgid":"2.1f","acting":[1,0],"acting_primary":1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(PGList{{"2.1f", 1}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "{}", "[]", `{"pg_ready":false,"pg_stats":[]}`} {
		if got, err := ParsePGs([]byte(bad)); err == nil {
			t.Errorf("ParsePGs(%q) = %v, want an error", bad, got)
		}
	}
}

func TestParsePools(t *testing.T) {
	got, fsid, err := ParsePools([]byte(`{"epoch":9,"fsid":"a","pools":[{"pool":2,"pool_name":"vms","pg_num":32,"size":3}]}`))
	if err != nil || fsid != "a" {
		t.Fatalf("cluster %q, %v", fsid, err)
	}
	if diff := cmp.Diff([]Pool{{ID: 2, Name: "vms", PGs: 32}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "{}", "[]", `{"pools":[{"pool":-1}]}`} {
		if got, _, err := ParsePools([]byte(bad)); err == nil {
			t.Errorf("ParsePools(%q) = %v, want an error", bad, got)
		}
	}
}

// FuzzParse gives every parser the same text: none may panic, and what they return has to hold together.
func FuzzParse(f *testing.F) {
	f.Add("full avg10=0.00 avg60=1.50 avg300=0.01 total=178587")
	f.Add("36 22 253:0 / /srv/my\\040files rw,noatime - xfs /dev/mapper/vg-srv rw,attr2")
	f.Add("Filename\n/dev/dm-1\\ partition 1 0 -2")
	f.Add("7035\tosd1\t2.7a1ef1a4\t2.4\t[1,0]/1\t[1,0]/1\te45\trbd_data.10a6.12\t0x400024\t1\twrite")
	f.Add("rbd-nbd\x00map\x00--id\x00")
	f.Add(`{"pg_ready":true,"pg_stats":[{"pgid":"2.1f"}],"pools":[{"pool":2}]}`)
	f.Add("1 0 8 1 5 0 4 9 2 30 30")
	f.Fuzz(func(t *testing.T, text string) {
		if full, err := parsePressure(text); err == nil && !(full >= 0 && full <= 1) {
			t.Errorf("pressure %v", full)
		}
		var m Memory
		if err := parseMeminfo(text, &m); (err == nil) != m.HasInfo {
			t.Errorf("meminfo: %v, %+v", err, m)
		}
		for _, m := range parseMountinfo(text) {
			if m.number == "" || m.fs == "" {
				t.Errorf("mount %+v", m)
			}
		}
		parseSwaps(text)
		if s, ok := parseStat(text); ok != (s.finished != "") || s.inFlight < 0 {
			t.Errorf("stat %+v", s)
		}
		if m, ok := parseNBD(text); ok && m.Pool == "" && !strings.Contains(text, "/") {
			t.Errorf("nbd %+v", m)
		}
		for _, q := range parseRequests(text) {
			if q.id == "" || q.object == "" {
				t.Errorf("request %+v", q)
			}
		}
		_, _ = parseFlags(text)
		_, _ = ParseMappedPools([]byte(text))
		if list, err := ParsePGs([]byte(text)); err == nil {
			Shares(nil, nil, []PGList{list})
		}
		_, _, _ = ParsePools([]byte(text))
	})
}
