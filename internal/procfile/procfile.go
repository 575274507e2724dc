// Package procfile reads what the texts of procfs have in common.
package procfile

import (
	"fmt"
	"strconv"
	"strings"
)

// Memory returns a value of /proc/meminfo in bytes.
func Memory(meminfo, name string) (uint64, error) {
	for line := range strings.Lines(meminfo) {
		rest, ok := strings.CutPrefix(line, name+":")
		if !ok {
			continue
		}
		number, unit, _ := strings.Cut(strings.TrimSpace(rest), " ")
		kib, err := strconv.ParseUint(number, 10, 50)
		if err != nil || unit != "kB" {
			return 0, fmt.Errorf("parse %s: not a number of kB", name)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("parse meminfo: no %s", name)
}

// Unescape replaces what the kernel writes for blanks and the like in paths: a backslash and three octal digits.
func Unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if n, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
