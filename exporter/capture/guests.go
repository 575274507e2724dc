package capture

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/ssconf"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// guests asks the monitor of every guest all that the allow-list holds, and takes the runtime files.
func (t *take) guests(ctx context.Context) {
	finder := kvm.NewFinder(t.opts.Procfs, kvm.GanetiDir(t.opts.GanetiRun), kvm.CephctlDir(t.opts.CephctlRun))
	guests, err := finder.Find()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.fail("guests", err)
	}
	sockets := kvm.NewSockets(t.opts.Procfs)
	for _, g := range guests {
		t.known.Instances = append(t.known.Instances, g.Instance)
		if err := t.guest(ctx, sockets, g); err != nil {
			t.fail("guest "+g.Instance, err)
		}
		t.runtime(g)
	}
}

func (t *take) guest(ctx context.Context, sockets *kvm.Sockets, g kvm.Guest) error {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	session, err := kvm.NewMonitor(sockets, g.Dir.Monitors(g.Instance)...).Open(ctx, nil)
	if err != nil {
		return err
	}
	defer session.Close()
	answers, err := session.Ask(kvm.Queries()...)
	if err != nil {
		return err
	}
	version := session.Version.Number
	t.versions["qemu"] = version
	source := "guest " + g.Instance + " "
	t.add(source+"greeting", string(session.Greeting), "qemu", release(version), g.Instance, "greeting.json")
	for i, q := range kvm.Queries() {
		t.add(source+q.String(), string(answers[i]), "qemu", release(version), g.Instance, q.String()+".json")
	}
	return nil
}

func (t *take) runtime(g kvm.Guest) {
	path := g.Dir.RuntimeFile(g.Instance)
	content, err := os.ReadFile(path)
	if err != nil {
		t.fail("runtime file of "+g.Instance, err)
		return
	}
	if lines, err := ssconf.Dir(t.opts.GanetiState).Lines("release_version"); err == nil && len(lines) > 0 {
		t.versions["ganeti"] = lines[0]
	}
	t.add(path, string(content), "ganeti", release(t.versions["ganeti"]), g.Instance+".runtime")
}
