package exporter

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

const (
	defaultDeadline = 9 * time.Second
	// margin is what remains of Prometheus's own timeout to write and carry the answer.
	margin       = 500 * time.Millisecond
	shortestTime = 100 * time.Millisecond
)

// ServeHTTP serves /metrics: every collector, or those that the parameters collect[] name; as text, OpenMetrics or
// protobuf; compressed when the client can take it.
func (e *Exporter) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	only := req.URL.Query()["collect[]"]
	for _, name := range only {
		if !slices.Contains(e.Names(), name) {
			http.Error(w, fmt.Sprintf("collect[]=%s: no such collector or not enabled; enabled are: %s",
				name, strings.Join(e.Names(), ", ")), http.StatusBadRequest)
			return
		}
	}
	// The work may be shared with another scrape, so it goes on when this client goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), deadline(req.Header))
	defer cancel()

	format := expfmt.NegotiateAccept(req.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	w.Header().Set("Content-Type", string(format))
	out := io.Writer(w)
	if acceptsGzip(req.Header) {
		w.Header().Set("Content-Encoding", "gzip")
		zip, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		defer zip.Close()
		out = zip
	}
	enc := &encoder{
		enc:         expfmt.NewEncoder(out, format),
		openMetrics: format.FormatType() == expfmt.TypeOpenMetrics,
	}
	if err := e.Scrape(ctx, only, enc); err != nil {
		e.log.Debug("client went away while its answer was written", "err", err)
		return
	}
	if closer, ok := enc.enc.(expfmt.Closer); ok {
		closer.Close()
	}
}

// deadline is Prometheus's own timeout less a margin.
func deadline(h http.Header) time.Duration {
	seconds, err := strconv.ParseFloat(h.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
	if err != nil || !(seconds > 0) || seconds > time.Hour.Seconds() {
		return defaultDeadline
	}
	return max(time.Duration(seconds*float64(time.Second))-margin, shortestTime)
}

func acceptsGzip(h http.Header) bool {
	for _, part := range strings.Split(h.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name == "gzip" && strings.TrimSpace(params) != "q=0" {
			return true
		}
	}
	return false
}

// encoder writes families in the negotiated format.
type encoder struct {
	enc         expfmt.Encoder
	openMetrics bool
}

// WriteFamily implements FamilyWriter. OpenMetrics allows counters only with the suffix _total and the library
// would add it, which renames most counters of Ceph's own exporters; so these go out without a type there.
func (e *encoder) WriteFamily(f *dto.MetricFamily) error {
	if e.openMetrics && f.GetType() == dto.MetricType_COUNTER && !strings.HasSuffix(f.GetName(), "_total") {
		f.Type = dto.MetricType_UNTYPED.Enum()
		for _, m := range f.Metric {
			m.Untyped, m.Counter = &dto.Untyped{Value: m.Counter.Value}, nil
		}
	}
	return e.enc.Encode(f)
}
