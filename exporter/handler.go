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

	"github.com/prometheus/common/expfmt"
)

const (
	defaultDeadline = 9 * time.Second
	// margin is what remains of Prometheus's own timeout to write and carry the answer.
	margin       = 500 * time.Millisecond
	shortestTime = 100 * time.Millisecond
	// patienceWithReader is how long a client may take to read the answer. What was collected stays in memory
	// for so long.
	patienceWithReader = 30 * time.Second
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
	limit := deadline(req.Header)
	// The work may be shared with another scrape, so it goes on when this client goes away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), limit)
	defer cancel()
	// Not every http.ResponseWriter has deadlines; the server's has.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit + patienceWithReader))

	format := expfmt.NegotiateAccept(req.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	w.Header().Set("Content-Type", string(format))
	w.Header().Add("Vary", "Accept, Accept-Encoding")
	write := e.write
	if acceptsGzip(req.Header) {
		w.Header().Set("Content-Encoding", "gzip")
		write = e.writeCompressed
	}
	if err := write(ctx, w, format, only); err != nil {
		e.log.Debug("answer was not written to its end", "err", err)
		panic(http.ErrAbortHandler) // so that half an answer does not look like a whole one
	}
}

func (e *Exporter) writeCompressed(ctx context.Context, w io.Writer, format expfmt.Format, only []string) error {
	var zip *gzip.Writer
	select {
	case zip = <-e.zips:
		zip.Reset(w)
	default:
		var err error
		if zip, err = gzip.NewWriterLevel(w, gzip.BestSpeed); err != nil {
			return err
		}
	}
	defer func() {
		zip.Reset(io.Discard)
		select {
		case e.zips <- zip:
		default:
		}
	}()
	if err := e.write(ctx, zip, format, only); err != nil {
		return err
	}
	return zip.Close()
}

func (e *Exporter) write(ctx context.Context, w io.Writer, format expfmt.Format, only []string) error {
	results := e.collect(ctx, only)
	enc := newEncoder(w, format)
	if err := e.writeProcess(only, enc); err != nil {
		return err
	}
	twice, conflict, err := encode(w, format, e.group(results))
	e.dropped.add(twice, conflict)
	if err != nil {
		return err
	}
	if closer, ok := enc.enc.(expfmt.Closer); ok {
		return closer.Close()
	}
	return nil
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
	for part := range strings.SplitSeq(h.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(name, "gzip") {
			quality, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(params), "q="), 64)
			return err != nil || quality > 0
		}
	}
	return false
}
