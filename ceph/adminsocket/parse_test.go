package adminsocket

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the golden files")

const samples = "testdata/ceph"

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{samples}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The counters that are exported by default, with their values, of each kind of daemon of each release.
func TestSchemaAndDump(t *testing.T) {
	schemas, err := filepath.Glob(filepath.Join(samples, "*", "*", "*_schema.json"))
	if err != nil || len(schemas) == 0 {
		t.Fatal("no samples", err)
	}
	for _, path := range schemas {
		dir := filepath.Dir(path)
		release, daemon := filepath.Base(filepath.Dir(dir)), filepath.Base(dir)
		kind, _, _ := strings.Cut(filepath.Base(path), "_")
		t.Run(release+"/"+daemon, func(t *testing.T) {
			keep := func(c *Counter) bool { return c.Priority >= 5 }
			schema, err := ParseSchema(read(t, release, daemon, kind+"_schema.json"), keep)
			if err != nil {
				t.Fatal(err)
			}
			var parser DumpParser
			dump, err := parser.Parse(read(t, release, daemon, kind+"_dump.json"), schema.Layout)
			if err != nil {
				t.Fatal(err)
			}
			if dump.Unknown != 0 {
				t.Errorf("%d counters of the dump are not in the schema", dump.Unknown)
			}
			compare(t, filepath.Join(dir, "counters.golden"), describe(schema, dump))
		})
	}
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

func describe(schema *Schema, dump *Dump) string {
	kinds := map[Kind]string{Gauge: "gauge", Count: "count", Average: "average"}
	var b strings.Builder
	for i, c := range schema.Counters {
		fmt.Fprintf(&b, "%s %s", c.Logger, c.Name)
		for j := range c.LabelNames {
			fmt.Fprintf(&b, " %s=%q", c.LabelNames[j], c.LabelValues[j])
		}
		fmt.Fprintf(&b, " %s %d", kinds[c.Kind], c.Priority)
		v := dump.Values[i]
		switch {
		case !v.Known:
			fmt.Fprintln(&b, " absent")
		case c.Kind == Average:
			fmt.Fprintf(&b, " %v/%d\n", v.Sum, v.Count)
		default:
			fmt.Fprintf(&b, " %v\n", v.Sum)
		}
	}
	return b.String()
}

func TestParseSchema(t *testing.T) {
	const counter = `{"c":{"type":2,"metric_type":"gauge","description":"d","priority":5}}`
	type described struct {
		Logger, Name string
		Names        []string
		Values       []string
	}
	tests := []struct {
		name, data string
		want       []described
		err        error
	}{
		{"empty", `{}`, nil, nil},
		{"logger", `{"osd":` + counter + `}`, []described{{"osd", "c", nil, nil}}, nil},
		{
			"labelled", `{"osd":[{"labels":{"pool":"a","level":"deep"},"counters":` + counter + `}]}`,
			[]described{{"osd", "c", []string{"level", "pool"}, []string{"deep", "a"}}},
			nil,
		},
		{
			"same values, other labels", `{"osd":[{"labels":{"a":"1"},"counters":` + counter + `},{"labels":{"b":"1"},"counters":` + counter + `}]}`,
			[]described{{"osd", "c", []string{"a"}, []string{"1"}}, {"osd", "c", []string{"b"}, []string{"1"}}},
			nil,
		},
		{
			"pointers", `{"objecter":` + counter + `,"objecter-0x55f7c0a60320":` + counter + `,"objecter-0x55f7c0a612c0":` + counter + `}`,
			[]described{{"objecter", "c", nil, nil}},
			nil,
		},
		{
			"images", `{"librbd-10c6d6f382b8-vms-a":` + counter + `,"objectcacher-librbd-10c6d6f382b8-vms-a":` + counter + `}`,
			[]described{
				{"librbd", "c", []string{"image_id"}, []string{"10c6d6f382b8"}},
				{"objectcacher-librbd", "c", []string{"image_id"}, []string{"10c6d6f382b8"}},
			},
			nil,
		},
		{
			"mirrored images", `{"rbd_mirror_image_vms/a":` + counter + `,"rbd_mirror_snapshot_image_vms/ns/a/b":` + counter + `,"rbd_mirror":` + counter + `}`,
			[]described{
				{"rbd_mirror_image", "c", []string{"image", "namespace", "pool"}, []string{"a", "", "vms"}},
				{"rbd_mirror_snapshot_image", "c", []string{"image", "namespace", "pool"}, []string{"a/b", "ns", "vms"}},
				{"rbd_mirror", "c", nil, nil},
			},
			nil,
		},
		{
			"zones", `{"data-sync-from-us-east":` + counter + `}`,
			[]described{{"data-sync-from-zone", "c", []string{"source_zone"}, []string{"us-east"}}},
			nil,
		},
		{"histogram", `{"osd":{"h":{"type":18,"metric_type":"histogram","priority":10}}}`, nil, nil},
		{"counter of a wrong type", `{"osd":{"c":7}}`, nil, nil},
		{"logger of a wrong type", `{"osd":7,"mon":[7,{"labels":{}}]}`, nil, nil},
		{"no object", `[]`, nil, ErrReply},
		{"no JSON", `{"osd":`, nil, ErrReply},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			schema, err := ParseSchema([]byte(test.data), nil)
			if !errors.Is(err, test.err) {
				t.Fatalf("error = %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			var got []described
			for _, c := range schema.Counters {
				got = append(got, described{c.Logger, c.Name, c.LabelNames, c.LabelValues})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDumpValues(t *testing.T) {
	tests := []struct {
		name, value string
		want        Value
	}{
		{"integer", `7`, Value{Sum: 7, Known: true}},
		{"2^63", `9223372036854775808`, Value{Sum: 1 << 63, Known: true}},
		{"2^64-1", `18446744073709551615`, Value{Sum: math.MaxUint64, Known: true}},
		{"negative", `-1`, Value{Sum: -1, Known: true}},
		{"infinite", `inf`, Value{Sum: math.Inf(1), Known: true}},
		{"infinite, negative", `-inf`, Value{Sum: math.Inf(-1), Known: true}},
		{"time pair", `{"avgcount":3,"sum":1.5,"avgtime":0.5}`, Value{Sum: 1.5, Count: 3, Known: true}},
		{"integer pair of 2^63", `{"avgcount":9223372036854775808,"sum":9223372036854775808}`, Value{Sum: 1 << 63, Count: 1 << 63, Known: true}},
		{"pair that is not a number", `{"avgcount":nan,"sum":1}`, Value{Sum: 1, Known: true}},
		{"pair with an infinite count", `{"avgcount":inf,"sum":1}`, Value{Sum: 1, Count: math.MaxUint64, Known: true}},
		{"half a pair", `{"avgcount":3}`, Value{}},
		{"text", `"7"`, Value{}},
		{"null", `null`, Value{}},
		{"array", `[7]`, Value{}},
		{"truth", `true`, Value{}},
		{"object", `{"a":{"b":[{}]},"c":"}"}`, Value{}},
		{"pair of texts", `{"avgcount":"3","sum":null}`, Value{}},
		{"fraction", `0.000125`, Value{Sum: 0.000125, Known: true}},
		{"exponent", `-1.5E+3`, Value{Sum: -1500, Known: true}},
		{"beyond the range", `1e999`, Value{Sum: math.Inf(1), Known: true}},
		{"20 digits", `10000000000000000000`, Value{Sum: 1e19, Known: true}},
		{"blanks", "\n\t 7 \r", Value{Sum: 7, Known: true}},
	}
	schema, err := ParseSchema([]byte(`{"osd":{"c":{"type":2,"priority":5}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var parser DumpParser
			dump, err := parser.Parse([]byte(`{"osd":{"c":`+test.value+`}}`), schema.Layout)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]Value{test.want}, dump.Values); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDumpNaN(t *testing.T) {
	schema, err := ParseSchema([]byte(`{"osd":{"c":{"type":2}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var parser DumpParser
	dump, err := parser.Parse([]byte(`{"osd":{"c":nan}}`), schema.Layout)
	if err != nil {
		t.Fatal(err)
	}
	if v := dump.Values[0]; !v.Known || !math.IsNaN(v.Sum) {
		t.Errorf("value = %+v, want NaN", v)
	}
}

// What is in only one of dump and schema does not move what is in both, and nothing stays from an earlier dump.
func TestDumpAndSchemaDiffer(t *testing.T) {
	schema, err := ParseSchema([]byte(`{"a":{"x":{"type":2},"y":{"type":2}},"b":{"z":{"type":2}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		data    string
		want    []Value
		unknown int
	}{
		{`{"a":{"x":1,"y":2},"b":{"z":3}}`, []Value{{Sum: 1, Known: true}, {Sum: 2, Known: true}, {Sum: 3, Known: true}}, 0},
		{`{"b":{"z":3,"new":1,"newer":1},"c":{"new":1}}`, []Value{{}, {}, {Sum: 3, Known: true}}, 3},
		{`{"a":{"y":2}}`, []Value{{}, {Sum: 2, Known: true}, {}}, 0},
		{`{}`, []Value{{}, {}, {}}, 0},
	}
	var parser DumpParser
	for _, test := range tests {
		dump, err := parser.Parse([]byte(test.data), schema.Layout)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&Dump{Values: test.want, Unknown: test.unknown}, dump); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.data, diff)
		}
	}
}

// The values of loggers that become one are added up.
func TestDumpAddsTwins(t *testing.T) {
	schema, err := ParseSchema([]byte(`{"objecter-0x1f":{"c":{"type":10}},"objecter-0x2f":{"c":{"type":10}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var parser DumpParser
	dump, err := parser.Parse([]byte(`{"objecter-0x1f":{"c":1},"objecter-0x2f":{"c":2}}`), schema.Layout)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Value{{Sum: 3, Known: true}}, dump.Values); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDumpOfOddForm(t *testing.T) {
	schema, err := ParseSchema([]byte(`{"a\"\\":[{"labels":{"l\"":"v\u00e4"},"counters":{"c\\":{"type":2}}}],"b":{"c":{"type":2}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	const deep = 1000
	tests := []struct {
		name, data string
		want       []Value
		err        error
	}{
		{"escapes", `{"a\"\\":[{"labels":{"l\"":"v\u00e4"},"counters":{"c\\":1}}]}`, []Value{{Sum: 1, Known: true}, {}}, nil},
		{"loggers of a wrong type", `{"a":7,"b":"x","c":[7,{"labels":7,"counters":7}],"b":{"c":1}}`, []Value{{}, {Sum: 1, Known: true}}, nil},
		{"no object", `[]`, nil, ErrReply},
		{"no value", `{"b":{"c":}}`, nil, ErrReply},
		{"no number", `{"b":{"c":1x}}`, nil, ErrReply},
		{"no comma", `{"b":{"c":1 "d":2}}`, nil, ErrReply},
		{"no colon", `{"b":{"c" 1}}`, nil, ErrReply},
		{"comma too many", `{"b":{"c":1,}}`, nil, ErrReply},
		{"end in a string", `{"b":{"c\"`, nil, ErrReply},
		{"more after the end", `{} {}`, nil, ErrReply},
		{"nothing", ``, nil, ErrReply},
		{"too deep", `{"x":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + `}`, nil, ErrReply},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var parser DumpParser
			dump, err := parser.Parse([]byte(test.data), schema.Layout)
			if !errors.Is(err, test.err) {
				t.Fatalf("error = %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(test.want, dump.Values); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The daemon's text must not get into errors: it differs from one to the next.
func TestParseErrorQuotesNothing(t *testing.T) {
	var parser DumpParser
	_, err := parser.Parse([]byte(`{"osd":{"c":1,`+strings.Repeat("x", 50)), &Layout{})
	if !errors.Is(err, ErrReply) || strings.Contains(err.Error(), "xx") {
		t.Errorf("error = %v", err)
	}
}

func TestParseDescriptions(t *testing.T) {
	tests := map[string]map[Command]bool{
		"16.2": {PerfDump: true, PerfSchema: true, CounterDump: false, HistogramDump: true, MappedPools: true, MonStatus: false},
		"18.2": {PerfDump: true, PerfSchema: true, CounterDump: true, CounterSchema: true, MappedPools: true},
		"20.2": {PerfDump: true, PerfSchema: true, CounterDump: true, CounterSchema: true, MappedPools: true},
	}
	for release, want := range tests {
		known, err := ParseDescriptions(read(t, release, "osd", "get_command_descriptions.json"))
		if err != nil {
			t.Fatal(err)
		}
		for command, wanted := range want {
			if known[command.String()] != wanted {
				t.Errorf("%s knows %q: %v, want %v", release, command, !wanted, wanted)
			}
		}
	}
}

func TestParseLatencyHistograms(t *testing.T) {
	for _, release := range []string{"16.2", "18.2", "20.2"} {
		t.Run(release, func(t *testing.T) {
			found, err := ParseLatencyHistograms(read(t, release, "osd", "perf_histogram_dump.json"))
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, h := range found {
				fmt.Fprintf(&b, "%s %s %d\n", h.Logger, h.Name, h.Count)
				for i := range h.Bounds {
					fmt.Fprintf(&b, "  %v %d\n", h.Bounds[i], h.Counts[i])
				}
			}
			compare(t, filepath.Join(samples, release, "osd", "histograms.golden"), b.String())
		})
	}
}

func TestParseHistogram(t *testing.T) {
	const axes = `"axes":[{"name":"Latency (usec)","ranges":[{"max":-1},{"min":0,"max":99999},{"min":100000,"max":199999},{"min":200000}]}]`
	tests := []struct {
		name, histogram string
		want            []Histogram
	}{
		{
			"rows are added up, underflow counts from the first bound on",
			`{` + axes + `,"values":[[1,0],[2,3],[4,0],[0,5]]}`,
			[]Histogram{{Logger: "osd", Name: "h", Bounds: []float64{0.0001, 0.0002}, Counts: []uint64{6, 10}, Count: 15}},
		},
		{"rows missing", `{` + axes + `,"values":[[1]]}`, nil},
		{"no axes", `{"values":[[1]]}`, nil},
		{"no object", `7`, nil},
		{"other axis", `{"axes":[{"name":"number of replicas","ranges":[{"max":0}]}],"values":[[1]]}`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseLatencyHistograms([]byte(`{"osd":{"h":` + test.histogram + `},"empty":{}}`))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// wantScannedAsParsed wants what scan reads to be what parse reads. It returns whether scan has read it.
func wantScannedAsParsed(t *testing.T, data []byte, layout *Layout) bool {
	t.Helper()
	var scanner, parser DumpParser
	if !scanner.scan(data, layout) {
		return false
	}
	want, err := parser.parse(data, layout)
	if err != nil {
		t.Fatalf("scanned, but %v: %s", err, data)
	}
	if diff := cmp.Diff(want, &scanner.dump, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("(-parsed +scanned):\n%s\nof %s", diff, data)
	}
	return true
}

// TestScanReadsDaemons checks that what daemons give is read the fast way, of each type and release.
func TestScanReadsDaemons(t *testing.T) {
	dumps, err := filepath.Glob(samples + "/*/*/*_dump.json")
	if err != nil || len(dumps) == 0 {
		t.Fatalf("%d dumps, %v", len(dumps), err)
	}
	for _, path := range dumps {
		if strings.HasSuffix(path, "histogram_dump.json") {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		schemaData, err := os.ReadFile(strings.Replace(path, "_dump", "_schema", 1))
		if err != nil {
			t.Fatal(err)
		}
		schema, err := ParseSchema(schemaData, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !wantScannedAsParsed(t, data, schema.Layout) {
			t.Errorf("%s is not scanned", path)
		}
	}
}

// TestScan checks what is not as daemons give it: what scan reads is what parse reads, and the rest it leaves alone.
func TestScan(t *testing.T) {
	schema, err := ParseSchema([]byte(`{"a":{"x":{"type":2},"y":{"type":5}},"b":[{"labels":{"l":"v"},"counters":{"x":{"type":2}}}]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for dump, want := range map[string]bool{
		`{}`: true, ` { "a" : { } } `: true, `{"b":[]}`: true,
		`{"a":{"y":{"avgcount":3,"sum":0.000000125,"avgtime":0.04},"x":18446744073709551615}}`: true,
		`{"a":{"x":-1.5e3}}`: true, `{"a":{"x":1.}}`: true, `{"a":{"x":1.2.3}}`: true, `{"a":{"x":12345678901234567.8}}`: true,
		`{"a":{"x":1},"a":{"x":2}}`: true, `{"b":[{"labels":{"l":"v"},"counters":{"x":7}}],"a":{"x":1}}`: true,
		`{"a":{"y":{"sum":1,"avgcount":3}}}`: false, `{"a":{"y":{"avgcount":3}}}`: false, `{"a":{"x":inf}}`: false, `{"a":{"x":"1"}}`: false,
		`{"a":{"new":1}}`: false, `{"new":{"x":1}}`: false, `{"b":[{"labels":{"l":"w"},"counters":{"x":7}}]}`: false,
		`{"b":[{"counters":{"x":7}}]}`: false, `{"b":[{"labels":{"l":1},"counters":{"x":7}}]}`: false, `{"a":{"\u0078":1}}`: false,
		``: false, `{`: false, `{"a":{"x":1}`: false, `{"a":{"x":1,}}`: false, `{"a":{"x" 1}}`: false, `{"a":{"x":1}} x`: false,
		`{"a":{"x":1}"b":[]}`: false, `{"a":[}`: false, `[]`: false, `{"a`: false,
	} {
		if got := wantScannedAsParsed(t, []byte(dump), schema.Layout); got != want {
			t.Errorf("scanned %v, want %v: %s", got, want, dump)
		}
	}
}

func FuzzParseSchemaAndDump(f *testing.F) {
	f.Add([]byte(`{"a":{"x":{"type":2}}}`), []byte(`{"a":{"x":1}}`))
	f.Add([]byte(`{"a":[{"labels":{"l":"v"},"counters":{"x":{"type":5}}}]}`), []byte(`{"a":[{"labels":{"l":"v"},"counters":{"x":{"avgcount":1,"sum":inf}}}]}`))
	f.Add([]byte(`{"objecter-0x1f":{"c":{"type":10}},"librbd-1f-p-i":{"c":{"type":10}},"rbd_mirror_image_p/i":{},"data-sync-from-z":{}}`), []byte(`{"objecter-0x1f":{"c":nan}}`))
	f.Add([]byte(`{"osd":{"h":{"type":18}}}`), []byte(`{"osd":{"h":{"axes":[{"name":"x","ranges":[{"max":-1}]}],"values":[[0,1e9]]}}}`))
	f.Fuzz(func(t *testing.T, schemaData, dumpData []byte) {
		schema, err := ParseSchema(schemaData, nil)
		if err != nil {
			schema = &Schema{Layout: &Layout{}}
		}
		for _, c := range schema.Counters {
			if len(c.LabelNames) != len(c.LabelValues) {
				t.Fatalf("%d label names, %d values", len(c.LabelNames), len(c.LabelValues))
			}
		}
		var parser DumpParser
		dump, err := parser.Parse(dumpData, schema.Layout)
		if err == nil && len(dump.Values) != len(schema.Counters) {
			t.Fatalf("%d values of %d counters", len(dump.Values), len(schema.Counters))
		}
		wantScannedAsParsed(t, dumpData, schema.Layout)
	})
}

func FuzzParseDescriptions(f *testing.F) {
	f.Add([]byte(`{"cmd000":{"sig":["perf","dump"]}}`))
	f.Add([]byte(`{"cmd000":{"sig":[{"name":"x"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		known, err := ParseDescriptions(data)
		if (err == nil) != (known != nil) {
			t.Errorf("known = %v, error = %v", known, err)
		}
	})
}

func FuzzParseLatencyHistograms(f *testing.F) {
	f.Add([]byte(`{"osd":{"h":{"axes":[{"name":"Latency (usec)","ranges":[{"max":-1},{"min":0,"max":99999},{"min":100000}]}],"values":[[1,0],[2,3],[4]]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := ParseLatencyHistograms(data)
		if err != nil {
			return
		}
		for _, h := range found {
			if len(h.Bounds) == 0 || len(h.Bounds) != len(h.Counts) {
				t.Fatalf("%d bounds, %d counts", len(h.Bounds), len(h.Counts))
			}
			for i := 1; i < len(h.Bounds); i++ {
				if !(h.Bounds[i] > h.Bounds[i-1]) {
					t.Fatalf("bounds do not grow: %v", h.Bounds)
				}
			}
			last := uint64(0)
			for _, n := range append(h.Counts, h.Count) {
				if n < last {
					t.Fatalf("counts fall: %v, %d", h.Counts, h.Count)
				}
				last = n
			}
		}
	})
}
