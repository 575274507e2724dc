package redact

import (
	"regexp"
	"strings"
)

var (
	// cephxKey is a key of type aes (AQ...==) or aes256k (Ag...=).
	cephxKey = regexp.MustCompile(`A[Qg][A-Za-z0-9+/]{36,}={1,2}`)
	// bareKey is one that has lost its end.
	bareKey = regexp.MustCompile(`(^|[^A-Za-z0-9+/])(A[Qg][A-Za-z0-9+/]{30,})()`)
	// padded is any other base64 that ends in =.
	padded = regexp.MustCompile(`()([A-Za-z0-9+/]{20,}={1,2})($|[^A-Za-z0-9+/=])`)
	// assigned is a secret with its name before it: key=..., password: "...". QEMU doubles a comma in a value.
	assigned = regexp.MustCompile(`(?i)((?:^|[^A-Za-z])[A-Za-z]*(?:key|secrets?|password|passwd|passphrase|token|credentials?)["']?\s?[=:]\s?)("(?:[^"\\]|\\.)*"|'[^']*'|(?:,,|[^\s,"'])+)()`)
	// qemuSecret is the value in QEMU's -object secret,id=...,data=....
	qemuSecret = regexp.MustCompile(`(\bdata=)((?:,,|[^,])+)()`)
	// login is the password in a URL.
	login = regexp.MustCompile(`(://[^/\s:@]*:)([^@\s/]+)(@)`)
	// privateKey is a key in PEM.
	privateKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`)
)

// removeSecrets removes what looks like a secret from a string.
func (r *redactor) removeSecrets(s string) string {
	if strings.Contains(s, "-----BEGIN") {
		s = privateKey.ReplaceAllStringFunc(s, r.remove)
	}
	if strings.Contains(s, "://") {
		s = r.removeSecond(login, s)
	}
	if strings.ContainsAny(s, "=:") {
		s = r.removeSecond(assigned, s)
	}
	if strings.Contains(s, "secret") && strings.Contains(s, "data=") {
		s = r.removeSecond(qemuSecret, s)
	}
	if len(s) >= 20 {
		s = cephxKey.ReplaceAllStringFunc(s, r.remove)
		s = r.removeSecond(bareKey, s)
		s = r.removeSecond(padded, s)
	}
	return s
}

func (r *redactor) remove(string) string {
	r.secrets++
	return Removed
}

// removeSecond removes the second of a pattern's three groups.
func (r *redactor) removeSecond(pattern *regexp.Regexp, s string) string {
	return pattern.ReplaceAllStringFunc(s, func(match string) string {
		groups := pattern.FindStringSubmatch(match)
		if value := strings.Trim(groups[2], `"'`); value == "" || value == Removed {
			return match
		}
		return groups[1] + r.remove(groups[2]) + groups[3]
	})
}

// secretWords are words in the name of a field that holds a secret.
var secretWords = map[string]bool{
	"key": true, "secret": true, "secrets": true, "password": true, "passwd": true, "passphrase": true,
	"token": true, "credential": true, "credentials": true, "apikey": true, "authkey": true, "secretkey": true,
	"accesskey": true, "privatekey": true,
}

// holdsSecret tells whether a field of this name holds a secret when its value is a string.
func holdsSecret(field string) bool {
	for _, word := range words(field) {
		if secretWords[word] {
			return true
		}
	}
	return false
}

// holdsPassword tells whether a field of this name holds a secret even when its value is a number. Perf counters
// have names such as keystone_token_cache_hit.
func holdsPassword(field string) bool {
	field = strings.ToLower(field)
	return strings.Contains(field, "passw") || strings.Contains(field, "passphrase")
}

// words splits snake_case, kebab-case, paths and camelCase.
func words(name string) []string {
	var out []string
	start := 0
	cut := func(end int) {
		if end > start {
			out = append(out, strings.ToLower(name[start:end]))
		}
	}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case strings.IndexByte("_-./ :", c) >= 0:
			cut(i)
			start = i + 1
		case i > start && c >= 'A' && c <= 'Z' && name[i-1] >= 'a' && name[i-1] <= 'z':
			cut(i)
			start = i
		}
	}
	cut(len(name))
	return out
}
