package jsonscan

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/valyala/fastjson"
)

// skips tells whether a text is one value that Skip reads. What it reads must be valid for the parser, too.
func skips(t *testing.T, text string) bool {
	t.Helper()
	s := New([]byte(text))
	s.Skip()
	if !s.Done() {
		return false
	}
	if _, err := fastjson.Parse(text); err != nil {
		t.Errorf("skipped, but %v: %.100q", err, text)
	}
	return true
}

func TestSkip(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`: true, ` [ ] `: true, `"a"`: true, `1`: true, `-1.5e-3`: true, `true`: true, `false`: true, `null`: true,
		`{"a": [1, {"b": "c"}, null], "d": {"e": {"f": true}}}`: true,
		// The second and third are the same as the one before them; the fourth only begins like that.
		`[{"a": {"x": 1}}, {"a": {"x": 1}}, {"a": {"x": 1}}, {"a": {"x": 1}, "b": 2}]`: true,
		`[{"a": 1}{"a": 1}]`: false, `[{"a": 1},{"a": 1}`: false,
		``: false, `{`: false, `[`: false, `{"a"}`: false, `{"a":}`: false, `{"a":1,}`: false, `[1,]`: false, `[,1]`: false, `{1:2}`: false,
		`"a`: false, `"a\n"`: false, `tru`: false, `nul`: false, `-`: false, `+`: false, `inf`: false, `1 2`: false, `{} x`: false,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth):     true,
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1): false,
	} {
		if got := skips(t, text); got != want {
			t.Errorf("skipped is %v, want %v: %.100q", got, want, text)
		}
	}
}

// TestSkipSameDeeper checks that the same object counts for its depth wherever it stands.
func TestSkipSameDeeper(t *testing.T) {
	object := `{}`
	for range 4 {
		object = `{"a": [` + object + `, ` + strings.Repeat("[", 90) + object + strings.Repeat("]", 90) + `]}`
	}
	if skips(t, object) {
		t.Error("skipped what is too deep")
	}
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "7": 7, " 12 ": 12, "1.5": 1.5, "0.000000125": 0.000000125, "18446744073709551615": 1 << 64, "-3": -3, "2e3": 2000,
		"123456789012345678": 123456789012345678, "0.1234567890123456": 0.1234567890123456, "1.7976931348623157e308": math.MaxFloat64,
	} {
		s := New([]byte(text))
		if got, ok := s.Number(); got != want || !ok || !s.Done() {
			t.Errorf("%s: got %v, %v, done %v", text, got, ok, s.Done())
		}
	}
	for _, text := range []string{"", "x", "-", "+", "inf", `"1"`} {
		s := New([]byte(text))
		if got, ok := s.Number(); ok || !s.Bad() {
			t.Errorf("%q is number %v, and bad is %v", text, got, s.Bad())
		}
	}
	for _, text := range []string{"1.2.3", "1e", "--1", "."} {
		s := New([]byte(text))
		if got, ok := s.Number(); ok || s.Bad() {
			t.Errorf("%q is number %v, and bad is %v", text, got, s.Bad())
		}
	}
}

// TestNumberAsParser checks numbers of up to 20 digits, with a point anywhere, to the last bit.
func TestNumberAsParser(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		text := strconv.FormatUint(random.Uint64()>>random.IntN(64), 10)
		if n := random.IntN(len(text) + 1); n > 0 {
			text = text[:n] + "." + text[n:]
		}
		s, v := New([]byte(text)), fastjson.MustParse(text)
		got, ok := s.Number()
		if want, err := v.Float64(); got != want || ok != (err == nil) {
			t.Fatalf("%s: got %v, %v; want %v and error %v", text, got, ok, want, err)
		}
	}
}

func TestObject(t *testing.T) {
	s := New([]byte(` { "first" : 1 , "second" : "two", "third": [] } `))
	s.Must('{')
	s.WantName("first")
	if n, ok := s.Number(); n != 1 || !ok || !s.GoesOn('}') {
		t.Errorf("first is %v, %v", n, ok)
	}
	if s.IsNamed("third") || !s.IsNamed("second") {
		t.Error("second is not found by its name")
	}
	if text := s.Text(); string(text) != "two" || !s.GoesOn('}') {
		t.Errorf("second is %q", text)
	}
	if name := s.Name(); string(name) != "third" {
		t.Errorf("third is named %q", name)
	}
	if !s.Begins('[') || !s.Ends(']') || s.Done() {
		t.Error("third is no empty array, or the end")
	}
	s.Must(']')
	s.Must('}')
	if !s.Done() {
		t.Error("not done at the end")
	}
	s.WantName("fourth")
	if !s.Bad() || s.Done() || s.Begins('{') || !s.Ends('}') {
		t.Error("a name was found past the end")
	}
}

func FuzzSkip(f *testing.F) {
	for _, text := range []string{`{"a":[1,{"b":"c"}],"d":null}`, `[{"a":1},{"a":1}]`, `-1.5e3`, `[true,false,"x"]`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { skips(t, text) })
}
