package redact

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// json redacts the strings of a JSON document, and numbers that are passwords.
func (r *redactor) json(doc string) string {
	return scan(doc, visitor{str: r.value, key: r.field, bare: r.bare})
}

func (r *redactor) field(name string) string {
	return r.names.replaceField(r.addresses.replace(r.removeSecrets(name)))
}

var number = regexp.MustCompile(`-?[0-9][0-9.eE+-]*`)

func (r *redactor) bare(text string, path []frame) string {
	if slices.ContainsFunc(path, func(f frame) bool { return holdsPassword(f.field) }) {
		text = number.ReplaceAllStringFunc(text, func(string) string {
			r.secrets++
			return "0"
		})
	}
	return r.text(text)
}

func (r *redactor) value(s string, path []frame) string {
	if s == "" || s == Removed {
		return s
	}
	if isSecret(path) {
		return r.remove(s)
	}
	if before, inner, ok := nested(s); ok {
		return before + r.json(inner)
	}
	if host, ok := r.names.host(s, path); ok {
		return host
	}
	return r.text(s)
}

// isSecret tells whether the string that comes next in a document is one by its place.
func isSecret(path []frame) bool {
	if len(path) == 0 {
		return false
	}
	last := path[len(path)-1]
	switch {
	case last.array && strings.HasPrefix(last.before, "-") && holdsSecret(last.before): // --password X
		return true
	case last.field == "data" && !last.array: // of QEMU's secret objects
		return true
	case last.field == "value" && (holdsSecret(last.fields["name"]) || holdsSecret(last.fields["key"])):
		return true
	case last.field == "metric_type" || last.fields["metric_type"] != "": // a counter whose name has such a word
		return false
	}
	// Health checks have names such as AUTH_INSECURE_KEY_TYPE, and only text below them.
	inCheck := slices.ContainsFunc(path, func(f frame) bool { return f.field == "severity" || f.fields["severity"] != "" })
	return !inCheck && slices.ContainsFunc(path, func(f frame) bool { return holdsSecret(f.field) })
}

// nested finds JSON in a string, as in QEMU's file names: json:{"driver":"rbd",...}.
func nested(s string) (before, inner string, ok bool) {
	inner = strings.TrimPrefix(s, "json:")
	before = s[:len(s)-len(inner)]
	return before, inner, isJSON(inner) && json.Valid([]byte(inner))
}
