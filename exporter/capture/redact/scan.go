package redact

import (
	"bytes"
	"encoding/json"
	"strings"
)

// visitor is told of the strings of a JSON document, and of what stands between them.
type visitor struct {
	// str gets a string value, the field it stands in, and the fields around that; it returns what to write.
	str func(value string, path []frame) string
	// key gets the name of a field.
	key func(name string) string
	// bare gets all between two strings: punctuation, numbers, blanks, and in broken documents anything.
	bare func(text string, path []frame) string
}

// frame is an object or array that is open.
type frame struct {
	array bool
	// field is the name of the field of an object whose value comes next or is open.
	field string
	// fields are the short string values that the object has shown so far, by name.
	fields map[string]string
	// before is the string before this one in an array.
	before string
}

// scan goes through a document that is JSON or was meant to be: it bears with inf, with a missing end and with
// anything else, and what the visitor does not change is kept byte for byte.
func scan(doc string, v visitor) string {
	var out strings.Builder
	out.Grow(len(doc))
	var path []frame
	for len(doc) > 0 {
		quote := strings.IndexByte(doc, '"')
		if quote < 0 {
			quote = len(doc)
		}
		gap := doc[:quote]
		out.WriteString(v.bare(gap, path))
		path = follow(path, gap)
		doc = doc[quote:]
		if doc == "" {
			break
		}
		raw := doc[:literal(doc)]
		doc = doc[len(raw):]
		out.WriteString(visit(raw, isKey(path, doc), path, v))
	}
	return out.String()
}

// follow opens and closes what the punctuation in a gap opens and closes.
func follow(path []frame, gap string) []frame {
	for i := 0; i < len(gap); i++ {
		switch gap[i] {
		case '{':
			path = append(path, frame{})
		case '[':
			path = append(path, frame{array: true})
		case '}', ']':
			if len(path) > 0 {
				path = path[:len(path)-1]
			}
		}
	}
	return path
}

// literal returns the length of the string literal that s begins with.
func literal(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

func isKey(path []frame, rest string) bool {
	return strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n"), ":") && (len(path) == 0 || !path[len(path)-1].array)
}

func visit(raw string, key bool, path []frame, v visitor) string {
	value, ok := decode(raw)
	if !ok {
		return v.bare(raw, path)
	}
	var replaced string
	if key {
		if len(path) > 0 {
			path[len(path)-1].field = value
		}
		replaced = v.key(value)
	} else {
		replaced = v.str(value, path)
		remember(path, value)
	}
	if replaced == value {
		return raw
	}
	return encode(replaced)
}

func remember(path []frame, value string) {
	const longest = 256
	if len(path) == 0 || len(value) > longest {
		return
	}
	last := &path[len(path)-1]
	last.before = value
	if last.fields == nil {
		last.fields = make(map[string]string)
	}
	last.fields[last.field] = value
}

func decode(raw string) (string, bool) {
	var value string
	if len(raw) < 2 || raw[len(raw)-1] != '"' {
		return "", false
	}
	if !strings.ContainsAny(raw, "\\\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f") {
		return raw[1 : len(raw)-1], true
	}
	err := json.Unmarshal([]byte(raw), &value)
	return value, err == nil
}

func encode(value string) string {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(value) // a string and a buffer give no error
	return strings.TrimSuffix(out.String(), "\n")
}
