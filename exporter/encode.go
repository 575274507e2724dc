package exporter

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"sync"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// encoder writes families in the negotiated format.
type encoder struct {
	enc         expfmt.Encoder
	openMetrics bool
}

// newEncoder makes an encoder that leaves names as they are: all of ours are legal in every format.
func newEncoder(w io.Writer, format expfmt.Format) *encoder {
	return &encoder{
		enc:         expfmt.NewEncoder(w, format.WithEscapingScheme(model.NoEscaping)),
		openMetrics: format.FormatType() == expfmt.TypeOpenMetrics,
	}
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

const (
	// maxEncoders is how many families are encoded at once, at most, however many CPUs there are.
	maxEncoders = 4
	// pages is how many families an encoder may be ahead of the writer.
	pages = 2
)

// page is one encoded family.
type page struct {
	bytes.Buffer
	err error
}

// encode writes the groups in their order. Encoders work side by side, each on its share of them, while what is done is
// written (and compressed). It returns how many samples were left out, as duplicates and for their type.
func encode(w io.Writer, format expfmt.Format, groups []*group) (twice, conflict uint64, err error) {
	n := min(runtime.GOMAXPROCS(0), maxEncoders)
	full, empty := make([]chan *page, n), make([]chan *page, n)
	renderers := make([]*renderer, n)
	var running sync.WaitGroup
	for i := range n {
		full[i], empty[i] = make(chan *page, pages), make(chan *page, pages)
		for range pages {
			empty[i] <- new(page)
		}
		renderers[i] = newRenderer(groups)
		running.Go(func() {
			var out struct{ *bytes.Buffer }
			enc := newEncoder(&out, format)
			for j := i; j < len(groups); j += n {
				p, ok := <-empty[i]
				if !ok {
					return
				}
				p.Reset()
				out.Buffer = &p.Buffer
				p.err = protect(func() error { return renderers[i].write(groups[j], enc) })
				full[i] <- p
			}
		})
	}
	for j := range groups {
		p := <-full[j%n]
		if err = p.err; err == nil {
			_, err = w.Write(p.Bytes())
		}
		if err != nil {
			break
		}
		empty[j%n] <- p
	}
	for i := range n {
		close(empty[i])
	}
	running.Wait()
	for _, r := range renderers {
		twice, conflict = twice+r.twice, conflict+r.conflict
	}
	return twice, conflict, err
}
