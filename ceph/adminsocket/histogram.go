package adminsocket

import (
	"fmt"
	"math"
	"strings"

	"github.com/valyala/fastjson"
)

// Histogram is the latency side of one of an OSD's two-dimensional histograms.
type Histogram struct {
	// Logger and Name are as in the dump, for example "osd" and "op_r_latency_out_bytes_histogram".
	Logger, Name string
	// Bounds are the upper bounds of the buckets in seconds, in growing order; the last bucket has none.
	Bounds []float64
	// Counts are the observations at or below each bound.
	Counts []uint64
	// Count is all observations.
	Count uint64
}

// ParseLatencyHistograms reads the answer to HistogramDump. Histograms whose first axis is not a latency are left
// out. Ceph calls the unit of that axis "usec"; the numbers are nanoseconds.
func ParseLatencyHistograms(data []byte) ([]Histogram, error) {
	root, err := parseObject(data)
	if err != nil {
		return nil, fmt.Errorf("parse perf histograms: %w", err)
	}
	var found []Histogram
	root.Visit(func(logger []byte, v *fastjson.Value) {
		v.GetObject().Visit(func(name []byte, v *fastjson.Value) {
			if h, ok := parseHistogram(v); ok {
				h.Logger, h.Name = string(logger), string(name)
				found = append(found, h)
			}
		})
	})
	return found, nil
}

func parseHistogram(v *fastjson.Value) (Histogram, bool) {
	if !strings.HasPrefix(string(v.GetStringBytes("axes", "0", "name")), "Latency") {
		return Histogram{}, false
	}
	ranges, rows := v.GetArray("axes", "0", "ranges"), v.GetArray("values")
	if len(ranges) == 0 || len(ranges) != len(rows) {
		return Histogram{}, false
	}
	var h Histogram
	for i, row := range rows {
		for _, n := range row.GetArray() {
			h.Count += n.GetUint64()
		}
		upper := ranges[i].GetFloat64("max")
		if upper <= 0 || math.IsInf(upper, 0) { // the underflow before the first bound, or no bound after the last
			continue
		}
		h.Bounds = append(h.Bounds, (upper+1)/1e9)
		h.Counts = append(h.Counts, h.Count)
	}
	return h, len(h.Bounds) > 0
}
