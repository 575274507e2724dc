// Package jsonscan walks through JSON of a form that is known, without a tree of it: several times as fast as a parser that has to
// expect anything. What is not as expected is for such a parser, which has the last word.
package jsonscan

import (
	"bytes"

	"github.com/valyala/fastjson/fastfloat"
)

// Scanner walks through a text. Once something is not as expected it is bad, and all that follows is worth nothing. An object is read by
//
//	for more := s.Begins('{'); more && !s.Ends('}'); more = s.GoesOn('}') {
//		name := s.Name()
//		...
//	}
//	s.Must('}')
//
// and an array likewise.
type Scanner struct {
	data []byte
	at   int
	bad  bool
	// depth is that of the value which Skip is in.
	depth int
	// skipped is the object that Skip read last, and skippedDepth where.
	skipped      []byte
	skippedDepth int
}

// New returns a scanner that stands at the beginning of a text. A text with a backslash is bad: its strings are not what they look like.
func New(data []byte) Scanner {
	return Scanner{data: data, bad: bytes.IndexByte(data, '\\') >= 0}
}

// Fail makes the text a bad one.
func (s *Scanner) Fail() { s.bad = true }

// Bad tells whether something was not as expected.
func (s *Scanner) Bad() bool { return s.bad }

// Done tells whether the text ends here and all of it was as expected.
func (s *Scanner) Done() bool {
	s.space()
	return !s.bad && s.at == len(s.data)
}

// Begins reads what an object or array begins with.
func (s *Scanner) Begins(c byte) bool {
	s.Must(c)
	return !s.bad
}

// Ends tells whether an object or array has nothing more in it.
func (s *Scanner) Ends(c byte) bool { return s.bad || s.Peek() == c }

// GoesOn reads the comma before the next thing in an object or array, if there is one.
func (s *Scanner) GoesOn(end byte) bool {
	if s.Peek() == end {
		return false
	}
	s.Must(',')
	if s.Peek() == end {
		s.bad = true
	}
	return !s.bad
}

// Must reads one character.
func (s *Scanner) Must(c byte) {
	if s.Peek() != c {
		s.bad = true
		return
	}
	s.at++
}

// Peek returns the next character that is no space, 0 at the end.
func (s *Scanner) Peek() byte {
	s.space()
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

func (s *Scanner) space() {
	for s.at < len(s.data) && s.data[s.at] <= ' ' && isSpace(s.data[s.at]) {
		s.at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// Name reads a name and the colon behind it. It is valid as long as the text.
func (s *Scanner) Name() []byte {
	name := s.Text()
	s.Must(':')
	return name
}

// IsNamed reads a name and the colon behind it if the name is this one.
func (s *Scanner) IsNamed(name string) bool {
	s.space()
	end := s.at + 1 + len(name)
	if end >= len(s.data) || s.data[s.at] != '"' || s.data[end] != '"' || string(s.data[s.at+1:end]) != name {
		return false
	}
	s.at = end + 1
	s.Must(':')
	return true
}

// WantName reads a name, which must be this one, and the colon behind it.
func (s *Scanner) WantName(name string) {
	if !s.IsNamed(name) {
		s.bad = true
	}
}

// Text reads what stands between quotes. It is valid as long as the text.
func (s *Scanner) Text() []byte {
	s.Must('"')
	end := bytes.IndexByte(s.data[s.at:], '"')
	if end < 0 {
		s.bad = true
		return nil
	}
	text := s.data[s.at : s.at+end]
	s.at += end + 1
	return text
}

// Number reads a number as fastjson does. ok is false for what looks like one and is none.
func (s *Scanner) Number() (f float64, ok bool) {
	s.space()
	begin, digits, point := s.at, uint64(0), -1
	for ; s.at < len(s.data); s.at++ {
		c := s.data[s.at]
		if c >= '0' && c <= '9' {
			digits = digits*10 + uint64(c-'0')
		} else if c == '.' && point < 0 && s.at > begin {
			point = s.at
		} else {
			break
		}
	}
	simple := s.at - begin
	text := s.numeric(begin)
	switch {
	case s.bad:
		return 0, false
	case len(text) > simple || len(text) > 18 || point >= 0 && digits > maxExact:
		f, err := fastfloat.Parse(string(text))
		return f, err == nil
	case point < 0:
		return float64(digits), true
	default:
		return float64(digits) / powers[s.at-point-1], true
	}
}

// maxExact is up to where every integer is a float. A quotient of two such is rounded once, as a number that is parsed.
const maxExact = 1 << 53

// powers are those of ten: no more are needed for 18 characters, and all are exact.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16}

// numeric reads to the end of what looks like a number, and returns all of it.
func (s *Scanner) numeric(begin int) []byte {
	for s.at < len(s.data) && isNumeric(s.data[s.at]) {
		s.at++
	}
	text := s.data[begin:s.at]
	if len(text) == 0 || len(text) == 1 && (text[0] == '-' || text[0] == '+') {
		s.bad = true
	}
	return text
}

func isNumeric(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'
}

// maxDepth is how deep things may stand in each other where nobody looks at them.
const maxDepth = 100

// Skip reads a value of any kind. An object with the same text as the last one is known to be valid, unless it stands deeper.
func (s *Scanner) Skip() {
	if s.depth++; s.depth > maxDepth {
		s.bad = true
	}
	defer func() { s.depth-- }()
	switch s.Peek() {
	case '{':
		if n := len(s.skipped); n > 0 && s.depth <= s.skippedDepth && bytes.HasPrefix(s.data[s.at:], s.skipped) {
			s.at += n
			return
		}
		begin := s.at
		for more := s.Begins('{'); more && !s.Ends('}'); more = s.GoesOn('}') {
			s.Name()
			s.Skip()
		}
		s.Must('}')
		s.skipped, s.skippedDepth = s.data[begin:s.at], s.depth
	case '[':
		for more := s.Begins('['); more && !s.Ends(']'); more = s.GoesOn(']') {
			s.Skip()
		}
		s.Must(']')
	case '"':
		s.Text()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		s.numeric(s.at)
	}
}

func (s *Scanner) literal(word string) {
	if !bytes.HasPrefix(s.data[s.at:], []byte(word)) {
		s.bad = true
		return
	}
	s.at += len(word)
}
