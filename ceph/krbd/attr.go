package krbd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// errGone is what an attribute says that was opened just before its device went away.
var errGone = syscall.ENODEV

// attrs reads attributes of one mapping and keeps the first error.
type attrs struct {
	dir *os.Root
	err error
}

// optional reads an attribute that older kernels do not have.
func (a *attrs) optional(name string) string {
	if _, err := a.dir.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return a.text(name)
}

func (a *attrs) text(name string) string {
	if a.err != nil {
		return ""
	}
	b, err := a.dir.ReadFile(name)
	if err != nil {
		a.err = err
	}
	return strings.TrimSuffix(string(b), "\n")
}

func (a *attrs) number(name string) uint64 {
	s := a.text(name)
	if a.err != nil {
		return 0
	}
	n, err := parseNumber(s)
	if err != nil {
		a.err = fmt.Errorf("parse %s: %w", name, err)
	}
	return n
}

// parseNumber takes what rbd writes into its attributes: decimal, and hexadecimal with 0x for bits.
func parseNumber(s string) (uint64, error) {
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		return strconv.ParseUint(hex, 16, 64)
	}
	return strconv.ParseUint(s, 10, 64)
}
