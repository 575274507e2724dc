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
	last        string // family
}

// newEncoder makes an encoder that leaves names as they are: all of ours are legal in every format.
func newEncoder(w io.Writer, format expfmt.Format) *encoder {
	return &encoder{
		enc:         expfmt.NewEncoder(w, format.WithEscapingScheme(model.NoEscaping)),
		openMetrics: format.FormatType() == expfmt.TypeOpenMetrics,
	}
}

// WriteFamily implements FamilyWriter. OpenMetrics allows counters only with the suffix _total and the library
// would add it, which renames most counters of Ceph's own exporters; so these go out without a type there. So does
// one of Go's own that would have the name of the family before it, as the suffix is no part of a name there.
func (e *encoder) WriteFamily(f *dto.MetricFamily) error {
	name, ok := strings.CutSuffix(f.GetName(), "_total")
	legal := ok && name != e.last
	e.last = f.GetName()
	if e.openMetrics && f.GetType() == dto.MetricType_COUNTER && !legal {
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
	text []byte
	err  error
}

// pagePool has those of the last scrape. The collector of garbage empties it.
var pagePool = sync.Pool{New: func() any { return new(page) }}

// groupEncoder appends one family after the other to a text. It counts the samples that it leaves out. After release nobody uses it.
type groupEncoder interface {
	encode(g *group, text []byte) ([]byte, error)
	counts() (twice, conflict uint64)
	release()
}

func newGroupEncoder(format expfmt.Format, groups []*group) groupEncoder {
	if t := newTextRenderer(format, groups); t != nil {
		return t
	}
	return newLibraryEncoder(format, groups)
}

// libraryEncoder has the library encode.
type libraryEncoder struct {
	*renderer
	out bytes.Buffer
	enc *encoder
}

func newLibraryEncoder(format expfmt.Format, groups []*group) *libraryEncoder {
	e := &libraryEncoder{renderer: newRenderer(groups)}
	e.enc = newEncoder(&e.out, format)
	return e
}

func (e *libraryEncoder) encode(g *group, text []byte) ([]byte, error) {
	e.out = *bytes.NewBuffer(text)
	err := e.write(g, e.enc)
	return e.out.Bytes(), err
}

func (e *libraryEncoder) release() {}

// encode writes the groups in their order. Encoders work side by side, each on its share of them, while what is done is
// written (and compressed). It returns how many samples were left out, as duplicates and for their type.
func encode(w io.Writer, format expfmt.Format, groups []*group) (twice, conflict uint64, err error) {
	n := min(runtime.GOMAXPROCS(0), maxEncoders)
	full, empty := make([]chan *page, n), make([]chan *page, n)
	encoders := make([]groupEncoder, n)
	var running sync.WaitGroup
	for i := range n {
		full[i], empty[i] = make(chan *page, pages), make(chan *page, pages)
		for range pages {
			empty[i] <- pagePool.Get().(*page)
		}
		encoders[i] = newGroupEncoder(format, groups)
		running.Go(func() {
			for j := i; j < len(groups); j += n {
				p, ok := <-empty[i]
				if !ok {
					return
				}
				p.err = protect(func() (err error) {
					p.text, err = encoders[i].encode(groups[j], p.text[:0])
					return err
				})
				full[i] <- p
			}
		})
	}
	for j := range groups {
		p := <-full[j%n]
		if err = p.err; err == nil {
			_, err = w.Write(p.text)
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
	for i, e := range encoders {
		t, c := e.counts()
		twice, conflict = twice+t, conflict+c
		e.release()
		for p := range empty[i] {
			if cap(p.text) <= keepBuffer {
				pagePool.Put(p)
			}
		}
	}
	return twice, conflict, err
}
