package exporter

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// The report is what Ganeti's monitoring daemon would serve if it had a collector for Ceph: the same few things that
// the metrics say, judged, in that daemon's form.
const (
	reportName     = "ceph"
	reportCategory = "storage"
	reportFormat   = 1
	// kindStatus tells readers that the data has a status.
	kindStatus = 1
)

// Codes of a status, as Ganeti has them.
const (
	statusOK = 0
	// statusHeals is for what is not well and mends itself.
	statusHeals = 1
	// statusUnknown is for what nobody can tell.
	statusUnknown = 2
	// statusBad is for what somebody has to look at.
	statusBad = 4
)

// Report is one collector's report in the form of Ganeti's monitoring daemon.
type Report struct {
	Name          string `json:"name"`
	Version       string `json:"version"`
	FormatVersion int    `json:"format_version"`
	// Timestamp is in nanoseconds.
	Timestamp int64      `json:"timestamp"`
	Category  string     `json:"category"`
	Kind      int        `json:"kind"`
	Data      ReportData `json:"data"`
}

// ReportData is what is known of Ceph on this node.
type ReportData struct {
	Status ReportStatus `json:"status"`
	// Health is HEALTH_OK, HEALTH_WARN or HEALTH_ERR on the node that reads the cluster, and empty elsewhere.
	Health string `json:"health,omitempty"`
	// Daemons are those of this node, and whether each answers.
	Daemons []ReportDaemon `json:"daemons"`
	// Loopback are the mapped images by which this node may hang, with their levels.
	Loopback []ReportLoopback `json:"loopback"`
}

// ReportStatus is the judgement: 0 well, 1 not well but mending, 2 unknown, 4 bad.
type ReportStatus struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// ReportDaemon is a Ceph daemon of this node. A guest is none, though it has an admin socket.
type ReportDaemon struct {
	Name string `json:"name"`
	Up   bool   `json:"up"`
}

// ReportLoopback is a mapped image.
type ReportLoopback struct {
	Device string `json:"device"`
	Pool   string `json:"pool"`
	Image  string `json:"image"`
	Level  int    `json:"level"`
}

// reported are the collectors that the report takes its data from.
var reported = []string{"daemon", "cluster", "loopback"}

// ServeReport serves the report at /1/report/storage/ceph, a list of it at /1/report/all, and what there is at
// /1/list/collectors, as Ganeti's monitoring daemon does.
func (e *Exporter) ServeReport(version string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/1/list/collectors":
			e.answer(w, [][]any{{reportName, reportCategory, kindStatus}})
		case "/1/report/" + reportCategory + "/" + reportName:
			e.serveReport(w, req, version, func(r Report) any { return r })
		case "/1/report/all":
			e.serveReport(w, req, version, func(r Report) any { return []Report{r} })
		default:
			http.NotFound(w, req)
		}
	})
}

func (e *Exporter) serveReport(w http.ResponseWriter, req *http.Request, version string, form func(Report) any) {
	// The work may be shared with a scrape, so it goes on when this client goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), deadline(req.Header))
	defer cancel()
	report := Report{
		Name: reportName, Version: version, FormatVersion: reportFormat, Timestamp: time.Now().UnixNano(),
		Category: reportCategory, Kind: kindStatus,
	}
	seen := reporter{data: ReportData{Daemons: []ReportDaemon{}, Loopback: []ReportLoopback{}}}
	only := slices.DeleteFunc(slices.Clone(reported), func(name string) bool { return !slices.Contains(e.Names(), name) })
	if len(only) > 0 { // none would mean all
		if err := e.Scrape(ctx, only, &seen); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	seen.judge()
	report.Data = seen.data
	e.answer(w, form(report))
}

func (e *Exporter) answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		e.log.Debug("answer was not written to its end", "err", err)
	}
}

// reporter is a FamilyWriter that keeps what the report is made of.
type reporter struct {
	data    ReportData
	unknown []string
}

// WriteFamily implements FamilyWriter.
func (r *reporter) WriteFamily(f *dto.MetricFamily) error {
	for _, m := range f.GetMetric() {
		value := m.GetGauge().GetValue()
		switch f.GetName() {
		case daemonSocketUp.Name:
			if name := label(m, "ceph_daemon"); isDaemon(name) {
				r.data.Daemons = append(r.data.Daemons, ReportDaemon{Name: name, Up: value == 1})
			}
		case healthStatus.Name:
			r.data.Health = []string{"HEALTH_OK", "HEALTH_WARN", "HEALTH_ERR"}[min(max(int(value), 0), 2)]
		case loopbackLevel.Name:
			r.data.Loopback = append(r.data.Loopback, ReportLoopback{
				Device: label(m, "device"), Pool: label(m, "pool"), Image: label(m, "image"), Level: int(value),
			})
		case loopbackLevelKnown.Name:
			if value != 1 {
				r.unknown = append(r.unknown, label(m, "device"))
			}
		}
	}
	return nil
}

// isDaemon tells daemons from other clients of the cluster that have an admin socket, such as guests, by their names. Those of
// gateways and mirrors begin with the service's by convention, as Ceph's own tools have it.
func isDaemon(name string) bool {
	kind, _, _ := strings.Cut(name, ".")
	switch kind {
	case "mon", "mgr", "osd", "mds", "rgw", "radosgw", "rbd-mirror", "cephfs-mirror":
		return true
	}
	return false
}

func label(m *dto.Metric, name string) string {
	for _, pair := range m.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}

// judge sets the status: the worst of all that is not well, and all of it in words.
func (r *reporter) judge() {
	slices.SortFunc(r.data.Daemons, func(a, b ReportDaemon) int { return cmp.Compare(a.Name, b.Name) })
	var words []string
	worst := statusOK
	note := func(code int, format string, args ...any) {
		worst = max(worst, code)
		words = append(words, fmt.Sprintf(format, args...))
	}
	for _, d := range r.data.Daemons {
		if !d.Up {
			note(statusBad, "%s does not answer", d.Name)
		}
	}
	for _, l := range r.data.Loopback {
		if l.Level >= 3 {
			note(statusBad, "%s of %s/%s may hang this node (level %d)", l.Device, l.Pool, l.Image, l.Level)
		}
	}
	for _, device := range r.unknown {
		note(statusUnknown, "nobody can tell whether %s may hang this node", device)
	}
	switch r.data.Health {
	case "HEALTH_WARN":
		note(statusHeals, "the cluster is HEALTH_WARN")
	case "HEALTH_ERR":
		note(statusBad, "the cluster is HEALTH_ERR")
	}
	if len(r.data.Daemons) == 0 && r.data.Health == "" && worst == statusOK {
		note(statusUnknown, "no Ceph daemon runs here")
	}
	r.data.Status = ReportStatus{Code: worst, Message: strings.Join(words, "; ")}
}
