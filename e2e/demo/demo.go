package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/rules"
)

const (
	// scrapeInterval is shorter than anywhere else, as somebody waits for what takes several scrapes.
	scrapeInterval = time.Second
	// startTimeout has room for a build on a busy machine.
	startTimeout = 15 * time.Minute
	pool         = "vms"
	instance     = "inst1.lab"
	image        = "9a3e7e1c-5d0b-4f4e-8f7b-0c2c4d9f1a55.rbd.disk0"
	// writeMiB is what the guest writes and verifies before its steady load begins.
	writeMiB = 4
	exporter = "bin/demo-exporter"
)

// prometheusConfig keeps the labels of the exporter's families as they are, and the job under which the community's
// dashboards for Ceph look for them.
const prometheusConfig = `global:
  scrape_interval: %[1]s
  evaluation_interval: %[1]s
rule_files: ["*.rules.yml"]
scrape_configs:
  - job_name: ceph
    honor_labels: true
    static_configs:
      - targets: ["127.0.0.1:%[2]d"]
`

// demo is what runs.
type demo struct {
	settings settings
	progress *progress

	ceph       *lab.Ceph
	guest      *lab.Guest
	keyring    string
	exporter   *lab.Exporter
	prometheus *lab.Prometheus
}

// start starts everything and returns when Prometheus has something to show.
func (d *demo) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not up after %s", startTimeout))
	defer cancel()
	// The first build takes longer than the cluster and the guest do.
	jobs, jobsCtx := errgroup.WithContext(ctx)
	jobs.Go(func() error { return d.buildExporter(jobsCtx) })
	jobs.Go(func() error { return d.startPrometheus(jobsCtx) })
	jobs.Go(func() error { return inOrder(jobsCtx, d.startCeph, d.startGuest, d.createKey) })
	err := jobs.Wait()
	if err == nil {
		err = inOrder(ctx, d.guest.Resume, d.startExporter, d.awaitSeries)
	}
	return cause(ctx, err)
}

// inOrder does steps until one ends with an error.
func inOrder(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// cause returns why ctx ended when an error came of that, as the error only says that something was cancelled.
func cause(ctx context.Context, err error) error {
	if reason := context.Cause(ctx); err != nil && reason != nil {
		return reason
	}
	return err
}

func (d *demo) buildExporter(ctx context.Context) error {
	d.progress.say("exporter", "building, in the meantime")
	defer d.progress.repeat("exporter", "still building; this takes a minute the first time")()
	out, err := exec.CommandContext(ctx, "make", "--no-print-directory", "demo-exporter").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the exporter: %w: %s", err, strings.TrimSpace(string(out)))
	}
	d.progress.say("exporter", "built")
	return nil
}

func (d *demo) startCeph(ctx context.Context) (err error) {
	d.ceph, err = lab.StartCeph(ctx, lab.CephOptions{
		Progress: func(step string) { d.progress.say("ceph", step) },
	})
	if err != nil {
		return err
	}
	d.progress.say("ceph", "creating the pool "+pool+" and an image")
	if err := d.ceph.CreatePool(ctx, pool); err != nil {
		return err
	}
	return d.ceph.CreateBootImage(ctx, pool, image, writeMiB, true)
}

func (d *demo) startGuest(ctx context.Context) (err error) {
	d.progress.say("guest", fmt.Sprintf("booting from the image; it writes %d MiB and reads them back", writeMiB))
	d.guest, err = d.ceph.StartGuest(ctx, lab.GuestOptions{
		Name: instance, Disks: []lab.Disk{{Pool: pool, Image: image}},
	})
	if err != nil {
		return err
	}
	if err := d.guest.WaitVerified(ctx); err != nil {
		return err
	}
	d.progress.say("guest", fmt.Sprintf("has verified its %d MiB; its small writes and reads begin when somebody looks", writeMiB))
	// They would take a CPU from the build.
	return d.guest.Pause(ctx)
}

func (d *demo) createKey(ctx context.Context) (err error) {
	d.keyring, err = d.ceph.CreateExporterKey(ctx)
	return err
}

func (d *demo) startExporter(ctx context.Context) (err error) {
	d.progress.say("exporter", "starting, with a key that may only read")
	listen := fmt.Sprintf("127.0.0.1:%d", d.settings.exporter)
	d.exporter, err = lab.StartExporter(ctx, exporter, listen, d.ceph.ExporterArgs(d.keyring)...)
	return err
}

func (d *demo) startPrometheus(ctx context.Context) (err error) {
	d.progress.say("prometheus", "starting, with the alert rules")
	files := make(map[string][]byte)
	for _, name := range rules.Prometheus() {
		if files[strings.TrimSuffix(name, ".yml")+".rules.yml"], err = rules.Files.ReadFile(name); err != nil {
			return fmt.Errorf("read the alert rules: %w", err)
		}
	}
	d.prometheus, err = lab.StartPrometheus(ctx, lab.PrometheusOptions{
		Listen: fmt.Sprintf("127.0.0.1:%d", d.settings.prometheus),
		Config: fmt.Sprintf(prometheusConfig, scrapeInterval, d.settings.exporter),
		Files:  files,
	})
	return err
}

// awaitSeries waits for those rows of the summary that come last: a rate over several scrapes, and what the mgr is told
// of the pool.
func (d *demo) awaitSeries(ctx context.Context) error {
	d.progress.say("prometheus", "scraping a few times")
	for _, expr := range []string{joined + " > 0", fmt.Sprintf("%s >= %d", stored, writeMiB<<20)} {
		for {
			samples, err := d.prometheus.Query(ctx, expr)
			if err != nil {
				return err
			}
			if len(samples) > 0 {
				break
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(scrapeInterval / 2):
			}
		}
	}
	return nil
}

// stop ends whatever was started, in the opposite order.
func (d *demo) stop() {
	fmt.Fprintln(d.progress.out)
	d.progress.say("demo", "stopping and cleaning up")
	var errs []error
	if d.prometheus != nil {
		errs = append(errs, d.prometheus.Stop())
	}
	if d.exporter != nil {
		errs = append(errs, d.exporter.Stop())
	}
	if d.ceph != nil {
		errs = append(errs, d.ceph.Stop())
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
}
