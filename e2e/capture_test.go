package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/cluster"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter/capture"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// TestCapture captures from real daemons and a real guest, and reads what it wrote with the project's parsers.
func TestCapture(t *testing.T) {
	t.Parallel() // most of the time, daemons are waited for
	lab.RequireCeph(t)
	lab.RequireGuest(t)
	ceph := startCeph(t)
	startCaptured(t, ceph)
	options := exporterOptions(t, ceph)
	conn := rados.New(options)
	t.Cleanup(conn.Close)

	dir := filepath.Join(t.TempDir(), "case")
	m, err := capture.Write(t.Context(), dir, capture.Options{
		Redact:     true,
		CephRun:    ceph.RunDir,
		CephConfig: ceph.Conf,
		GanetiRun:  ceph.GanetiRunDir,
		CephctlRun: t.TempDir(),
		Procfs:     "/proc",
		Sysfs:      "/sys",
		Timeout:    patience,
		Perf:       true,
		Now:        time.Now(),
		Sockets:    &adminsocket.Client{},
		Cluster:    conn,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Failed {
		t.Errorf("failed: %s: %s", f.What, f.Why)
	}
	checkRedacted(t, dir, secretsOf(t, ceph, options.Keyring))
	checkParsed(t, dir)
}

const capturedGuest = "inst1.example.com"

func startCaptured(t *testing.T, ceph *lab.Ceph) {
	t.Helper()
	if err := ceph.CreatePool(t.Context(), "vms"); err != nil {
		t.Fatal(err)
	}
	if err := ceph.CreateBootImage(t.Context(), "vms", "disk0", 4, true); err != nil {
		t.Fatal(err)
	}
	guest := lab.GuestOptions{Name: capturedGuest, Disks: []lab.Disk{{Pool: "vms", Image: "disk0"}}}
	if _, err := ceph.StartGuest(t.Context(), guest); err != nil {
		t.Fatal(err)
	}
}

// secretsOf returns what must not be in the capture: keys, the cluster's id, names of host and guest.
func secretsOf(t *testing.T, ceph *lab.Ceph, keyrings ...string) []string {
	t.Helper()
	secrets := []string{ceph.FSID, capturedGuest}
	if host, err := os.Hostname(); err == nil && len(host) > 2 {
		secrets = append(secrets, "\""+host+"\"")
	}
	for _, path := range append(keyrings, ceph.AdminKeyring, ceph.GuestKeyring) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if _, key, ok := strings.Cut(line, "key = "); ok {
				secrets = append(secrets, strings.TrimSpace(key))
			}
		}
	}
	return secrets
}

func checkRedacted(t *testing.T, dir string, secrets []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		content := path[len(dir):]
		if !entry.IsDir() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content += string(text)
		}
		for i, secret := range secrets {
			if strings.Contains(content, secret) {
				t.Errorf("secret %d is in %s", i, path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkParsed reads every kind of file that a capture has.
func checkParsed(t *testing.T, dir string) {
	t.Helper()
	osd := "ceph/*/osd.0/"
	schema, err := adminsocket.ParseSchema(captured(t, dir, osd+"perf_schema.json"), func(*adminsocket.Counter) bool { return true })
	check(t, "schema", err)
	if err == nil {
		_, err = new(adminsocket.DumpParser).Parse(captured(t, dir, osd+"perf_dump.json"), schema.Layout)
		check(t, "dump", err)
	}
	for file, parse := range map[string]func([]byte) error{
		osd + "get_command_descriptions.json":                parser(adminsocket.ParseDescriptions),
		osd + "perf_histogram_dump.json":                     parser(adminsocket.ParseLatencyHistograms),
		"ceph/*/mon.a/mon_status.json":                       parser(cluster.ParseMonState),
		"ceph/*/cluster/health.json":                         parser(cluster.ParseHealth),
		"ceph/*/cluster/quorum_status.json":                  parser(cluster.ParseQuorum),
		"ceph/*/cluster/osd_dump.json":                       parser(cluster.ParseOSDMap),
		"ceph/*/cluster/osd_tree.json":                       parser(cluster.ParseDeviceClasses),
		"ceph/*/cluster/osd_metadata.json":                   parser(cluster.ParseOSDMetadata),
		"ceph/*/cluster/mon_metadata.json":                   parser(cluster.ParseMetadata),
		"ceph/*/cluster/mgr_dump.json":                       parser(cluster.ParseMgrMap),
		"ceph/*/cluster/fs_dump.json":                        parser(cluster.ParseFSMap),
		"ceph/*/cluster/mds_metadata.json":                   parser(cluster.ParseMetadata),
		"ceph/*/cluster/service_dump.json":                   parser(cluster.ParseServices),
		"ceph/*/cluster/df.json":                             parser(cluster.ParseDF),
		"ceph/*/cluster/pg_dump_pools.json":                  parser(cluster.ParsePoolPGs),
		"ceph/*/cluster/pg_dump_brief.json":                  parser(cluster.ParsePGBrief),
		"ceph/*/cluster/osd_perf.json":                       parser(cluster.ParseOSDPerf),
		"qemu/*/instance1.example.net/query-block.json":      parser(kvm.ParseBlock),
		"qemu/*/instance1.example.net/query-blockstats.json": parser(new(kvm.Parser).BlockStats),
		"qemu/*/instance1.example.net/query-status.json":     parser(new(kvm.Parser).Status),
		"ganeti/*/instance1.example.net.runtime":             parser(kvm.ParseRuntime),
	} {
		check(t, file, parse(captured(t, dir, file)))
	}
	blocks, err := kvm.ParseBlock(captured(t, dir, "qemu/*/instance1.example.net/query-block.json"))
	check(t, "block devices", err)
	if text := fmt.Sprintf("%+v", blocks); !strings.Contains(text, "disk0") || !strings.Contains(text, "vms") {
		t.Errorf("no pool and image in %s", text)
	}
	if uses := kvm.ParseUnix(captured(t, dir, "linux/*/node/net_unix")); len(uses) == 0 {
		t.Error("no monitor in net_unix")
	}
}

// parser makes parsers of different types one type, as only their errors matter here.
func parser[T any](parse func([]byte) (T, error)) func([]byte) error {
	return func(data []byte) error {
		_, err := parse(data)
		return err
	}
}

func check(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func captured(t *testing.T, dir, pattern string) []byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: not captured (%v)", pattern, err)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	return data
}
