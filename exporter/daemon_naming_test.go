package exporter

import (
	"encoding/json"
	"maps"
	"math/big"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every counter at or above the priority gives the series that the rules of ceph-exporter give it. These are
// written anew here, from the raw JSON. What ceph-exporter names after a pointer or an image is another test's.
func TestDaemonGivesSeriesOfCephExporter(t *testing.T) {
	for _, c := range []struct{ release, daemon, file, label string }{
		{"16.2", "osd", "ceph-osd.3.asok", "osd.3"},
		{"16.2", "mon", "ceph-mon.a.asok", "mon.a"},
		{"16.2", "mgr", "ceph-mgr.x.asok", "mgr.x"},
		{"16.2", "client", "ceph-client.vm.4711.94.asok", "vm.4711.94"},
		{"16.2", "mds", "ceph-mds.a.asok", "mds.a"},
		{"16.2", "rgw", "ceph-client.rgw.gate.4711.94.asok", "94"},
		{"16.2", "rgw", "ceph-client.rgw.a.b.hrgsea.2.94.asok", "hrgsea"},
		{"16.2", "rgw", "ceph-client.rgw.gate.asok", "rgw.gate"}, // ceph-exporter leaves it out
		{"16.2", "rbd-mirror", "ceph-client.rbd-mirror.a.4711.94.asok", "rbd-mirror.a.4711.94"},
		{"18.2", "osd", "ceph-osd.3.asok", "osd.3"},
		{"18.2", "client", "ceph-client.vm.4711.94.asok", "vm.4711.94"},
		{"18.2", "mds", "ceph-mds.a.asok", "mds.a"},
		{"18.2", "rgw", "ceph-client.rgw.gate.4711.94.asok", "94"},
		{"18.2", "rbd-mirror", "ceph-client.rbd-mirror.a.4711.94.asok", "rbd-mirror.a.4711.94"},
		{"20.2", "osd", "ceph-osd.3.asok", "osd.3"},
		{"20.2", "mon", "ceph-mon.a.asok", "mon.a"},
		{"20.2", "mgr", "ceph-mgr.x.asok", "mgr.x"},
		{"20.2", "client", "ceph-client.vm.4711.94.asok", "vm.4711.94"},
		{"20.2", "mds", "ceph-mds.b.asok", "mds.b"},
		{"20.2", "rgw", "ceph-client.rgw.gate.4711.94.asok", "94"},
		{"20.2", "rbd-mirror", "ceph-client.rbd-mirror.a.4711.94.asok", "rbd-mirror.a.4711.94"},
	} {
		t.Run(c.release+"/"+c.daemon, func(t *testing.T) {
			answers := answersOf(t, c.release, c.daemon)
			dir := t.TempDir()
			startServer(t, filepath.Join(dir, c.file), answers)
			e := New(Options{}, NewDaemon(daemonOptions(dir)))
			scrape(t, e) // a mon gives its counters from the second one on
			got := scrape(t, e)
			maps.DeleteFunc(got, func(key string, _ float64) bool {
				return strings.HasPrefix(key, "ceph_ganeti_exporter_") || strings.HasPrefix(key, "ceph_daemon_") ||
					strings.Contains(key, "image_id=")
			})
			kind := "perf"
			if answers["counter dump"] != nil {
				kind = "counter"
			}
			who := "ceph_daemon"
			if c.daemon == "rgw" && !strings.HasPrefix(c.label, "rgw.") {
				who = "instance_id"
			}
			want := cephExporter(t, who, c.label, answers[kind+" schema"], answers[kind+" dump"])
			maps.DeleteFunc(want, func(key string, _ float64) bool { return strings.Contains(key, "librbd_1") })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-ceph-exporter +ours):\n%s", diff)
			}
			if len(got) < 4 {
				t.Errorf("only %d series", len(got))
			}
		})
	}
}

// cephExporter gives the series of the Prometheus text that ceph-exporter would make of the answers. who is the label
// that names the daemon.
func cephExporter(t *testing.T, who, daemon string, schema, dump []byte) series {
	t.Helper()
	s, d := loggers(t, schema), loggers(t, dump)
	found := make(series)
	for _, logger := range s {
		values := d[slices.IndexFunc(d, func(o rawLogger) bool { return o.name == logger.name && maps.Equal(o.labels, logger.labels) })]
		labels := maps.Clone(logger.labels)
		labels[who] = daemon
		var pairs []string
		for _, k := range slices.Sorted(maps.Keys(labels)) {
			pairs = append(pairs, k+`="`+labels[k]+`"`)
		}
		for counter, raw := range logger.counters {
			var about struct{ Type, Priority int }
			if err := json.Unmarshal(raw, &about); err != nil {
				t.Fatal(err)
			}
			if about.Priority < 5 || about.Type&16 != 0 {
				continue
			}
			name := promethize(regexp.MustCompile(`-0x[0-9a-f]+`).ReplaceAllString(logger.name, "") + "_" + counter)
			put := func(suffix string, number json.Number) {
				f, ok := new(big.Float).SetString(number.String())
				if !ok {
					t.Fatalf("%s is no number", number)
				}
				value, _ := f.Float64()
				found[name+suffix+"{"+strings.Join(pairs, ",")+"}"] += value // twins are one
			}
			if about.Type&4 == 0 {
				put("", json.Number(values.counters[counter]))
				continue
			}
			var pair struct{ Sum, AvgCount json.Number }
			if err := json.Unmarshal(values.counters[counter], &pair); err != nil {
				t.Fatal(err)
			}
			put("_sum", pair.Sum)
			put("_count", pair.AvgCount)
		}
	}
	return found
}

type rawLogger struct {
	name     string
	labels   map[string]string
	counters map[string]json.RawMessage
}

func loggers(t *testing.T, data []byte) (all []rawLogger) {
	t.Helper()
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		t.Fatal(err)
	}
	for name, value := range raw {
		var list []struct {
			Labels   map[string]string
			Counters map[string]json.RawMessage
		}
		if json.Unmarshal(value, &list) == nil {
			for _, entry := range list {
				all = append(all, rawLogger{name, entry.Labels, entry.Counters})
			}
			continue
		}
		counters := make(map[string]json.RawMessage)
		if err := json.Unmarshal(value, &counters); err != nil {
			t.Fatal(err)
		}
		all = append(all, rawLogger{name, map[string]string{}, counters})
	}
	return all
}

// promethize is the rule as the source of ceph-exporter has it.
func promethize(name string) string {
	if name[len(name)-1] == '-' {
		name = name[:len(name)-1] + "_minus"
	}
	for _, c := range "./ -" {
		name = strings.ReplaceAll(name, string(c), "_")
	}
	name = strings.ReplaceAll(name, "::", "_")
	name = strings.ReplaceAll(name, "+", "_plus")
	return "ceph_" + name
}

func TestMetricName(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"osd", "op_r_latency"}:                     "ceph_osd_op_r_latency",
		{"AsyncMessenger::Worker-0", "msgr_recv"}:   "ceph_AsyncMessenger_Worker_0_msgr_recv",
		{"bluestore-pricache:kv", "pri0_bytes"}:     "ceph_bluestore_pricache:kv_pri0_bytes",
		{"x", "c-"}:                                 "ceph_x_c_minus",
		{"x", "c+"}:                                 "ceph_x_c_plus",
		{"blk-kernel-device-/dev/sda b", "ä\n\x00"}: "ceph_blk_kernel_device__dev_sda_b____",
		{"", ""}: "ceph__",
	} {
		if got := metricName(in[0], in[1]); got != want {
			t.Errorf("metricName(%q, %q) = %q, want %q", in[0], in[1], got, want)
		}
	}
}

func TestLabelName(t *testing.T) {
	taken := []string{"ceph_daemon", "a_b"}
	for in, want := range map[string]string{
		"pool": "pool", "ceph_daemon": "ceph_daemon_", "a-b": "a_b_", "": "label_", "0": "label_0", "__name__": "label___name__", "a:b": "a_b_",
	} {
		if got := labelName(in, taken); got != want {
			t.Errorf("labelName(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("osd", "op+", "po-ol")
	f.Add("", "-", "__x")
	metric := regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	label := regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	f.Fuzz(func(t *testing.T, logger, counter, name string) {
		if got := metricName(logger, counter); !metric.MatchString(got) {
			t.Errorf("metricName(%q, %q) = %q", logger, counter, got)
		}
		got := labelName(name, []string{"ceph_daemon"})
		if !label.MatchString(got) || strings.HasPrefix(got, "__") || got == "ceph_daemon" {
			t.Errorf("labelName(%q) = %q", name, got)
		}
	})
}
