// Package ssconf reads what each node of a Ganeti cluster knows without asking anybody: small files of lines, which the
// master writes one by one whenever something changes.
package ssconf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Dir is the folder that has these files, usually /var/lib/ganeti.
type Dir string

// Path returns the path of a file, for example of "master_node".
func (d Dir) Path(name string) string { return filepath.Join(string(d), "ssconf_"+name) }

// Lines returns the lines of a file, without white space around them and without the empty ones. The error wraps that of the
// file system.
func (d Dir) Lines(name string) ([]string, error) {
	data, err := os.ReadFile(d.Path(name))
	if err != nil {
		return nil, fmt.Errorf("read Ganeti's configuration: %w", err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}
