package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/dashboards"
	alerts "github.com/ceph-ganeti/ceph-ganeti-exporter/rules"
)

func newRulesCommand(a *app) *cobra.Command {
	return newNoun("rules", "Alert rules for Prometheus and Alertmanager", newExportCommand(a, exportOptions{
		files:   alerts.Files,
		short:   "Write the alert rules into a folder",
		long:    "Writes the alert rules for Prometheus, and alertmanager.yml.example, for Alertmanager, into a folder.",
		example: "  cephctl rules export /etc/prometheus/rules",
	}))
}

func newDashboardsCommand(a *app) *cobra.Command {
	return newNoun("dashboards", "Dashboards for Grafana", newExportCommand(a, exportOptions{
		files:   dashboards.Files,
		short:   "Write the dashboards into a folder",
		long:    "Writes the dashboards into a folder, from which Grafana can provision them or an admin import them.",
		example: "  cephctl dashboards export /var/lib/grafana/dashboards",
	}))
}

// exportOptions are what an export command writes and says, and its flags.
type exportOptions struct {
	files                fs.FS
	short, long, example string
	force                bool
}

func newExportCommand(a *app, opts exportOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [--force] DIR",
		Short: opts.short,
		Long: opts.long + ` The folder is made when there is none.
A file that is there with another content is left alone, and nothing is written, unless --force replaces it.
` + exitStatus,
		Example: opts.example,
		Args:    arguments(1, 1, "a folder"),
		RunE:    func(_ *cobra.Command, args []string) error { return runExport(a, opts, args[0]) },
	}
	cmd.Flags().BoolVar(&opts.force, "force", false, "replace files that differ")
	return cmd
}

func runExport(a *app, opts exportOptions, dir string) error {
	files, err := fs.ReadDir(opts.files, ".")
	if err != nil {
		return fmt.Errorf("list the files: %w", err)
	}
	var different []error
	contents := make(map[string][]byte, len(files))
	for _, f := range files {
		content, err := fs.ReadFile(opts.files, f.Name())
		if err != nil {
			return fmt.Errorf("read the files: %w", err)
		}
		path := filepath.Join(dir, f.Name())
		there, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("look what is there: %w", err)
		case bytes.Equal(there, content):
			continue
		case !opts.force:
			different = append(different, fmt.Errorf("%s differs: replace it with --force, or name another folder", path))
		}
		contents[path] = content
	}
	if len(different) > 0 {
		return fmt.Errorf("%w: %w", control.ErrBlocked, errors.Join(different...))
	}
	if err := makeFolder(filepath.Clean(dir)); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	for path, content := range contents {
		if err := replaceFile(path, content); err != nil {
			return err
		}
	}
	return a.done(fmt.Sprintf("%d files written to %s, %d were there already", len(contents), dir, len(files)-len(contents)))
}

// makeFolder makes a folder that anybody may read, whatever the umask is, and those above it that are missing. One that is
// there stays as it is.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o755) // says what is in its way
	}
	if err := makeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// replaceFile writes a file that anybody may read, whatever the umask is: Prometheus is not root. It is written whole or not at all.
func replaceFile(path string, content []byte) error {
	temporary := path + ".new"
	err := os.WriteFile(temporary, content, 0o644)
	if err == nil {
		err = os.Chmod(temporary, 0o644)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
