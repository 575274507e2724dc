// Package cluster reads what the mons and the mgr of a Ceph cluster say of it.
//
// Every answer has a pure parser, for releases 16 to 20. Fields that a release lacks are left at their zero value.
package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrNotReady is in the error when the mgr has started a moment ago and has not heard of all OSDs yet.
var ErrNotReady = errors.New("the mgr has no placement group statistics yet")

// errShape is returned for JSON that is not the answer to the command.
var errShape = errors.New("not the expected answer")

// Number is a number that Ceph may also write as inf, -inf or nan, which JSON does not know.
type Number float64

// UnmarshalJSON takes numbers, and the words that quoteWords has put in quotes.
func (n *Number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	v, err := strconv.ParseFloat(strings.Replace(string(bytes.Trim(text, `"`)), "-nan", "nan", 1), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("%s is no number", text)
	}
	*n = Number(v)
	return nil
}

// decode reads JSON as Ceph writes it.
func decode(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		err = json.Unmarshal(quoteWords(data), v)
	}
	if err != nil {
		return fmt.Errorf("decode JSON: %w", err)
	}
	return nil
}

// quoteWords puts inf and nan, outside of strings, into quotes.
func quoteWords(data []byte) []byte {
	out := make([]byte, 0, len(data)+64)
	for i := 0; i < len(data); {
		if data[i] == '"' {
			end := stringEnd(data, i)
			out = append(out, data[i:end]...)
			i = end
			continue
		}
		if word := specialWord(data[i:]); word != "" {
			out = append(append(append(out, '"'), word...), '"')
			i += len(word)
			continue
		}
		out = append(out, data[i])
		i++
	}
	return out
}

// stringEnd returns the index after the string that begins at i.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

func specialWord(data []byte) string {
	for _, word := range [...]string{"-inf", "inf", "-nan", "nan"} {
		if len(data) >= len(word) && strings.EqualFold(string(data[:len(word)]), word) {
			return word
		}
	}
	return ""
}
