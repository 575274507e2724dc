package e2e

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// series are values by name and labels, the labels in the order of their names and without empty ones:
// `ceph_osd_up{ceph_daemon="osd.0"}`.
type series map[string]float64

var (
	seriesLine  = regexp.MustCompile(`(?m)^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	seriesLabel = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
)

// parseSeries reads the text format as loosely as the mgr's module writes it: with a HELP and TYPE too many.
func parseSeries(text string) series {
	s := make(series)
	for _, line := range seriesLine.FindAllStringSubmatch(text, -1) {
		var labels []string
		for _, label := range seriesLabel.FindAllStringSubmatch(line[2], -1) {
			if label[2] != "" {
				labels = append(labels, label[0])
			}
		}
		value, err := strconv.ParseFloat(line[3], 64)
		if err != nil {
			continue
		}
		slices.Sort(labels)
		s[line[1]+"{"+strings.Join(labels, ",")+"}"] = value
	}
	return s
}

// patience is how long a test waits for what comes with a delay, or late because the machine is busy.
const patience = 5 * time.Minute

// scrape asks an exporter as Prometheus does, for at most ten seconds.
func scrape(exporter http.Handler) string {
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "10")
	w := httptest.NewRecorder()
	exporter.ServeHTTP(w, request)
	return w.Body.String()
}

// await scrapes until the exporter gives all the lines in want, and none that begins with one in not.
func await(t *testing.T, exporter http.Handler, want, not []string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		text := scrape(exporter)
		lack := ""
		for _, line := range want {
			if !strings.Contains(text, "\n"+line+"\n") {
				lack = "no " + line
			}
		}
		for _, start := range not {
			if strings.Contains(text, "\n"+start) {
				lack = "still " + start
			}
		}
		if lack == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s in\n%s", lack, text)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
