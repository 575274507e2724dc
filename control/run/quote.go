package run

import (
	"fmt"
	"strings"
)

// Quote returns a command line as one would type it: words that a shell would change are quoted. Words with control
// characters need a shell that knows $'…', as bash and zsh do.
func Quote(argv []string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = quote(word)
	}
	return strings.Join(words, " ")
}

func quote(word string) string {
	switch {
	case word == "":
		return "''"
	case strings.IndexFunc(word, isControl) >= 0:
		return "$'" + escape(word) + "'"
	case strings.IndexFunc(word, isSpecial) >= 0:
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func isSpecial(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("_@%+=:,./-", r)
}

func escape(word string) string {
	var s strings.Builder
	for i := range len(word) {
		switch c := word[i]; {
		case c == '\\' || c == '\'':
			s.WriteByte('\\')
			s.WriteByte(c)
		case isControl(rune(c)):
			fmt.Fprintf(&s, `\%03o`, c)
		default:
			s.WriteByte(c)
		}
	}
	return s.String()
}
