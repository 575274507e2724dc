package exporter

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// reports makes an exporter whose collector daemon gives what fill adds.
func reports(fill func(b *Batch)) *Exporter {
	return New(Options{}, fake("daemon", Target{Name: "all", Collect: func(_ context.Context, b *Batch) error {
		fill(b)
		return nil
	}}), fake("qemu", Target{Name: "asked", Collect: func(context.Context, *Batch) error {
		panic("the report does not need it")
	}}))
}

func getReport[T any](t *testing.T, e *Exporter, path string) T {
	t.Helper()
	w := httptest.NewRecorder()
	e.ServeReport("1.2").ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	var got T
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: status %d, %v: %s", path, w.Code, err, w.Body)
	}
	return got
}

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		fill func(b *Batch)
		want ReportData
	}{
		"well": {
			func(b *Batch) {
				b.Add(daemonSocketUp, 1, "osd.1", "node1")
				b.Add(daemonSocketUp, 1, "mon.a", "node1")
				b.Add(healthStatus, 0)
			},
			ReportData{Health: "HEALTH_OK", Daemons: []ReportDaemon{{"mon.a", true}, {"osd.1", true}}, Loopback: []ReportLoopback{}},
		},
		"nothing here": {func(*Batch) {}, ReportData{
			Status: ReportStatus{2, "no Ceph daemon runs here"}, Daemons: []ReportDaemon{}, Loopback: []ReportLoopback{},
		}},
		"heals": {func(b *Batch) { b.Add(healthStatus, 1) }, ReportData{
			Status: ReportStatus{1, "the cluster is HEALTH_WARN"}, Health: "HEALTH_WARN", Daemons: []ReportDaemon{}, Loopback: []ReportLoopback{},
		}},
		"a guest that hangs": {
			func(b *Batch) {
				b.Add(daemonSocketUp, 0, "instances.4711.94", "node1")
				b.Add(daemonSocketUp, 1, "rgw.gate.4712.94", "node1")
			},
			ReportData{Daemons: []ReportDaemon{{"rgw.gate.4712.94", true}}, Loopback: []ReportLoopback{}},
		},
		"all that is bad": {
			func(b *Batch) {
				b.Add(daemonSocketUp, 0, "osd.1", "node1")
				b.Add(healthStatus, 2)
				b.Add(loopbackLevel, 4, "/dev/rbd0", "vms", "", "disk", "web", "0", "filesystem", "")
				b.Add(loopbackLevel, 1, "/dev/rbd1", "vms", "", "other", "", "", "idle", "")
				b.Add(loopbackLevelKnown, 1, "/dev/rbd0", "vms", "", "disk", "web", "0")
				b.Add(loopbackLevelKnown, 0, "/dev/rbd2", "vms", "", "third", "", "")
			},
			ReportData{
				Status: ReportStatus{4, "osd.1 does not answer; /dev/rbd0 of vms/disk may hang this node (level 4); " +
					"nobody can tell whether /dev/rbd2 may hang this node; the cluster is HEALTH_ERR"},
				Health: "HEALTH_ERR", Daemons: []ReportDaemon{{"osd.1", false}},
				Loopback: []ReportLoopback{{"/dev/rbd0", "vms", "disk", 4}, {"/dev/rbd1", "vms", "other", 1}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := reports(c.fill)
			before := time.Now().UnixNano()
			got := getReport[Report](t, e, "/1/report/storage/ceph")
			want := Report{Name: "ceph", Version: "1.2", FormatVersion: 1, Category: "storage", Kind: 1, Data: c.want}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Report{}, "Timestamp")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Timestamp < before {
				t.Errorf("timestamp %d is before the request", got.Timestamp)
			}
			all := getReport[[]Report](t, e, "/1/report/all")
			if diff := cmp.Diff([]Report{want}, all, cmpopts.IgnoreFields(Report{}, "Timestamp")); diff != "" {
				t.Errorf("all (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReportList(t *testing.T) {
	got := getReport[[][]any](t, reports(func(*Batch) {}), "/1/list/collectors")
	if diff := cmp.Diff([][]any{{"ceph", "storage", 1.0}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w := httptest.NewRecorder()
	reports(func(*Batch) {}).ServeReport("").ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/1/report/storage/drbd", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("an unknown report has status %d", w.Code)
	}
}
