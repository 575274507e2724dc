package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// Exporter is a running ceph-ganeti-exporter.
type Exporter struct {
	// URL is where its landing page is; its metrics are at URL + "/metrics".
	URL string
	// Log is the file that it logs to.
	Log string
	Pid int

	group *group
}

// StartExporter starts an exporter binary that listens on an address such as "127.0.0.1:9949", and returns when it is
// ready.
func StartExporter(ctx context.Context, binary, listen string, args ...string) (*Exporter, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, fmt.Errorf("start exporter: %w", err)
	}
	group, err := newGroup()
	if err != nil {
		return nil, fmt.Errorf("start exporter: %w", err)
	}
	e := &Exporter{URL: "http://" + listen, group: group}
	process, err := group.start("exporter", binary, append([]string{"--web.listen-address=" + listen}, args...)...)
	if err == nil {
		e.Pid, e.Log = process.Pid, process.output
		err = waitReady(ctx, process, e.URL+"/-/ready")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start exporter: %w", err), e.Stop())
	}
	return e, nil
}

// ExporterArgs returns the options with which an exporter watches this cluster, its guests and nothing else.
func (c *Ceph) ExporterArgs(keyring string) []string {
	return []string{
		"--path.ceph-run=" + c.RunDir,
		"--path.ganeti-run=" + c.GanetiRunDir,
		"--path.cephctl-run=" + c.group.path("cephctl"),
		"--path.cephctl-state=" + c.group.path("cephctl"),
		"--ceph.config=" + c.Conf,
		"--ceph.user=ceph-ganeti-exporter",
		"--ceph.keyring=" + keyring,
	}
}

// Metrics returns what the exporter answers a scrape with.
func (e *Exporter) Metrics(ctx context.Context) ([]byte, error) { return get(ctx, e.URL+"/metrics") }

// Stop kills the exporter.
func (e *Exporter) Stop() error {
	if err := e.group.close(); err != nil {
		return fmt.Errorf("stop exporter: %w", err)
	}
	return nil
}
