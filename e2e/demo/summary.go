package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// joined is what a guest writes to which image, from two collectors joined by labels.
const joined = `sum by (ganeti_instance, pool, image) (rate(qemu_disk_write_bytes_total[15s])` +
	` * on (ganeti_instance, disk) group_left (pool, image) qemu_disk_info)`

// stored is what the mgr has heard of the pool, which is some seconds after it was written.
const stored = `ceph_pool_stored * on (pool_id) group_left (name) ceph_pool_metadata{name="` + pool + `"}`

// row is a line of the summary, or some: what is asked of Prometheus, and what the answer means.
type row struct {
	meaning, expr string
	// labels are those that are shown.
	labels []string
	format func(float64) string
}

var rows = []row{
	{"health (0 is HEALTH_OK)", "ceph_health_status", nil, plain},
	{"daemon answers", `ceph_daemon_socket_up{ceph_daemon=~"m.*"}`, []string{"ceph_daemon"}, plain},
	{"OSD is up", "ceph_osd_up", []string{"ceph_daemon"}, plain},
	{"writes by the OSD", "ceph_osd_op_w", []string{"ceph_daemon"}, plain},
	{"stored in the pool", stored, []string{"name"}, bytes},
	{"size of the image", "ceph_rbd_image_size_bytes", []string{"pool", "image"}, bytes},
	{"clients that opened it", "ceph_rbd_image_watchers", []string{"pool", "image"}, plain},
	{"guest answers", "qemu_up", []string{"ganeti_instance"}, plain},
	{"written by the guest", "qemu_disk_write_bytes_total", []string{"ganeti_instance", "disk"}, bytes},
	{"its disk is this image", "qemu_disk_info", []string{"ganeti_instance", "disk", "access", "image"}, plain},
	{"both joined, a second", joined, []string{"ganeti_instance", "pool", "image"}, bytes},
	{"a scrape takes", "scrape_duration_seconds", []string{"job"}, duration},
}

// summarize says what runs, where, what Prometheus has of it, and how to stop.
func (d *demo) summarize(ctx context.Context, out io.Writer) error {
	version, err := d.ceph.Ceph(ctx, "--version")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nUp after %.0f s. This runs:\n\n", time.Since(d.progress.start).Seconds())
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "  Ceph\t%s: mon.a, mgr.x, osd.0 to osd.2\n", strings.Join(strings.Fields(string(version))[:3], " "))
	fmt.Fprintf(table, "  \tceph --conf %s status\n", d.ceph.Conf)
	fmt.Fprintf(table, "  guest\t%s (process %d), disk rbd:%s/%s\n", instance, d.guest.Pid, pool, image)
	fmt.Fprintf(table, "  exporter\t%s/metrics\n", d.exporter.URL)
	fmt.Fprintf(table, "  Prometheus\t%s\n", d.prometheus.URL)
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nPrometheus says:\n\n")
	if err := d.writeRows(ctx, out); err != nil {
		return err
	}
	if err := d.writeAlerts(ctx, out); err != nil {
		return err
	}
	if d.settings.duration > 0 {
		fmt.Fprintf(out, "\nEnds by itself in %s, or with Ctrl-C; nothing stays behind.\n", d.settings.duration)
	} else {
		fmt.Fprintf(out, "\nPress Ctrl-C to stop; nothing stays behind.\n")
	}
	return nil
}

// writeAlerts says which of the shipped rules fire, or soon will.
func (d *demo) writeAlerts(ctx context.Context, out io.Writer) error {
	samples, err := d.prometheus.Query(ctx, "ALERTS")
	if err != nil {
		return cause(ctx, err)
	}
	fmt.Fprintf(out, "\nAlerts, %s/alerts:", d.prometheus.URL)
	if len(samples) == 0 {
		fmt.Fprintln(out, " none fires")
		return nil
	}
	fmt.Fprintln(out)
	for _, s := range samples {
		fmt.Fprintf(out, "  %s is %s for %s on %s\n", s.Labels["alertname"], s.Labels["alertstate"], s.Labels["device"], s.Labels["instance"])
	}
	return nil
}

func (d *demo) writeRows(ctx context.Context, out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		samples, err := d.prometheus.Query(ctx, row.expr)
		if err != nil {
			return cause(ctx, err)
		}
		for _, line := range row.lines(samples) {
			fmt.Fprintln(table, "  "+line)
		}
	}
	return table.Flush()
}

// lines returns one line for each series, with columns for tabwriter.
func (r row) lines(samples []lab.Sample) []string {
	values := map[string]string{}
	for _, sample := range samples {
		if value, err := strconv.ParseFloat(sample.Value, 64); err == nil {
			values[r.series(sample)] = r.format(value)
		}
	}
	var lines []string
	meaning := r.meaning
	for _, series := range slices.Sorted(maps.Keys(values)) {
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s", meaning, values[series], series))
		meaning = ""
	}
	return lines
}

// series returns how a series is shown: its name, or that from which it is computed, and some of its labels.
func (r row) series(sample lab.Sample) string {
	var labels []string
	for _, name := range r.labels {
		labels = append(labels, fmt.Sprintf("%s=%q", name, shorten(sample.Labels[name])))
	}
	name := r.expr[:strings.IndexAny(r.expr+"{", "{ ")]
	if r.expr == joined {
		name = "rate(write_bytes)"
	}
	if len(labels) == 0 {
		return name
	}
	return name + "{" + strings.Join(labels, ",") + "}"
}

// shorten cuts the uuid with which Ganeti's names of images begin, so that lines fit into a terminal.
func shorten(value string) string {
	if len(value) > 36 {
		return value[:8] + "…" + value[36:]
	}
	return value
}

func plain(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func duration(v float64) string { return fmt.Sprintf("%.0f ms", v*1000) }

// bytes returns a number of bytes for people.
func bytes(v float64) string {
	switch {
	case v >= 1<<20:
		return fmt.Sprintf("%.1f MiB", v/(1<<20))
	case v >= 1<<10:
		return fmt.Sprintf("%.1f KiB", v/(1<<10))
	}
	return fmt.Sprintf("%.0f B", v)
}
