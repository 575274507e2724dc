package node

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// readConf returns what a ceph.conf says, or nil when there is none.
func readConf(path string) (*Conf, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	conf := parseConf(data)
	return &conf, nil
}

// parseConf reads what the section [global] says.
func parseConf(data []byte) Conf {
	sum := sha256.Sum256(data)
	conf := Conf{SHA256: hex.EncodeToString(sum[:])}
	section := ""
	for line := range strings.Lines(string(data)) {
		if at := strings.IndexAny(line, "#;"); at >= 0 {
			line = line[:at]
		}
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[] \t")
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found || section != "global" {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		switch option(key) {
		case "fsid":
			conf.FSID = value
		case "mon_host":
			conf.MonHost = value
		}
	}
	return conf
}

// option writes the name of an option in one way: Ceph takes spaces, dashes and underscores for the same.
func option(key string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(key), func(r rune) bool {
		return r == ' ' || r == '\t' || r == '_' || r == '-'
	}), "_")
}
