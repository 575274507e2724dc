package capture

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter/capture/redact"
)

// Manifest says what was captured. It is written as manifest.json.
type Manifest struct {
	// Version is that of the exporter.
	Version string `json:"exporter_version"`
	Taken   string `json:"taken"`
	// Versions are those of what was asked, by its name: "ceph", "qemu", "linux", "ganeti".
	Versions map[string]string `json:"versions"`
	Redacted bool              `json:"redacted"`
	// Replaced says how much was replaced, never what.
	Replaced redact.Counts `json:"replaced"`
	Files    []File        `json:"files"`
	Failed   []Failure     `json:"failed"`
}

// File is one captured answer.
type File struct {
	Path   string `json:"path"`
	Source string `json:"source"`
}

// Failure is what could not be read.
type Failure struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

func (t *take) manifest() *Manifest {
	m := &Manifest{
		Version:  t.opts.Version,
		Taken:    t.opts.Now.UTC().Format(time.RFC3339),
		Versions: t.versions,
		Redacted: t.opts.Redact,
		Files:    make([]File, len(t.files)),
		Failed:   append([]Failure{}, t.failed...),
	}
	for i, f := range t.files {
		m.Files[i] = File{Path: f.path, Source: f.source}
	}
	return m
}

// write writes the files, for the owner alone.
func write(dir string, files []file, m *Manifest) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	defer root.Close()
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	for _, f := range append(files, file{path: "manifest.json", content: string(text) + "\n"}) {
		if err := root.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
		if err := root.WriteFile(f.path, []byte(f.content), 0o600); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
	}
	return nil
}
