package redact

import (
	"fmt"
	"regexp"
	"strings"
)

// token is what a name can be part of: "mon.node1", "ceph-node1", "ceph-osd.3.asok".
var token = regexp.MustCompile(`[A-Za-z0-9_]+(?:[.-]+[A-Za-z0-9_]+)*`)

// replaceField replaces the name of a field when it is a name as a whole or has a domain: parts of it may well be
// words that a host is called by.
func (n *names) replaceField(s string) string {
	if r := n.by[strings.ToLower(s)]; r != "" {
		return r
	}
	if !strings.Contains(s, ".") {
		return s
	}
	return n.replace(s)
}

// replace replaces the names in a string.
func (n *names) replace(s string) string { return token.ReplaceAllStringFunc(s, n.replaceToken) }

func (n *names) replaceToken(s string) string {
	t := split(s)
	var out strings.Builder
	for i := 0; i < len(t.parts); {
		end, replaced := n.find(t, i)
		if end == i { // nothing begins here
			end, replaced = i+1, t.parts[i]
		}
		out.WriteString(replaced)
		if end < len(t.parts) {
			out.WriteString(t.separators[end-1])
		}
		i = end
	}
	return out.String()
}

// find returns the end of the longest name that begins at part i, and what replaces it.
func (n *names) find(t tokenParts, i int) (end int, replaced string) {
	for end := len(t.parts); end > i; end-- {
		if r := n.by[strings.ToLower(t.join(i, end))]; r != "" {
			return end, r
		}
	}
	if ordinary[strings.ToLower(t.parts[i])] {
		return i, ""
	}
	for end := len(t.parts); end > i+1; end-- {
		name := strings.ToLower(t.join(i, end))
		if t.separators[end-2] == "." && n.hasDomain(name, strings.ToLower(t.parts[end-1])) {
			n.counts.Domains++
			n.by[name] = fmt.Sprintf("name%d.example.net", n.counts.Domains)
			return end, n.by[name]
		}
	}
	return i, ""
}

func (n *names) hasDomain(name, last string) bool {
	if strings.HasSuffix(name, "example.net") {
		return false
	}
	if topDomains[last] {
		return true
	}
	for domain := range n.domains {
		if strings.HasSuffix(name, "."+domain) {
			return true
		}
	}
	return false
}

// tokenParts is a token in its parts and what stands between them.
type tokenParts struct {
	parts, separators []string
}

func split(s string) tokenParts {
	var t tokenParts
	start := 0
	for i := 0; i < len(s); {
		if !strings.ContainsRune(".-", rune(s[i])) {
			i++
			continue
		}
		t.parts = append(t.parts, s[start:i])
		start = i
		for strings.ContainsRune(".-", rune(s[i])) {
			i++
		}
		t.separators = append(t.separators, s[start:i])
		start = i
	}
	t.parts = append(t.parts, s[start:])
	return t
}

func (t tokenParts) join(from, to int) string {
	var out strings.Builder
	for i := from; i < to; i++ {
		out.WriteString(t.parts[i])
		if i < to-1 {
			out.WriteString(t.separators[i])
		}
	}
	return out.String()
}
