package exporter

// The daemon collector's own families. Perf counters make more, as each daemon's schema says.
var (
	daemonSocketUp = &Family{
		Name: "ceph_daemon_socket_up",
		Help: "Whether the daemon answered on its admin socket.",
		Kind: Gauge, Labels: []string{"ceph_daemon", "hostname"},
		Source: "connect to the admin socket", Cost: "none of its own", Ceph: true,
	}
	daemonSockets = &Family{
		Name: "ceph_ganeti_exporter_daemon_sockets",
		Help: "Admin sockets found on this node that the collector's filters leave in.",
		Kind: Gauge, Source: "list of the run directory", Cost: "1 readdir",
	}
	daemonCPU = &Family{
		Name: "ceph_daemon_cpu_seconds_total",
		Help: "CPU time that the daemon's process has used, in seconds.",
		Kind: Counter, Labels: []string{"ceph_daemon", "mode"}, Source: procStat, Cost: procCost,
	}
	daemonResident = processGauge("ceph_daemon_resident_memory_bytes", "Resident memory of the daemon's process.")
	daemonVirtual  = processGauge("ceph_daemon_virtual_memory_bytes", "Virtual memory of the daemon's process.")
	daemonThreads  = processGauge("ceph_daemon_threads", "Threads of the daemon's process.")
	daemonStart    = processGauge("ceph_daemon_start_time_seconds",
		"When the daemon's process started, in seconds since the epoch.")
)

const (
	procStat = "/proc/PID/stat, by SO_PEERCRED of the admin socket"
	procCost = "1 file of procfs a daemon"
)

// processGauge is what procfs says of a daemon's process.
func processGauge(name, help string) *Family {
	return &Family{Name: name, Help: help, Kind: Gauge, Labels: []string{"ceph_daemon"}, Source: procStat, Cost: procCost}
}

// latencyFamily is a histogram and the counter that knows its sum.
type latencyFamily struct {
	family  *Family
	latency string
}

// latencyFamilies are by logger and name of the histogram in the dump. Of the two that a read-write operation
// has, in and out, the latencies are the same.
var latencyFamilies = map[string]latencyFamily{
	"osd.op_r_latency_out_bytes_histogram": latencyHistogram("op_r_latency", "Latency of read operations, in seconds."),
	"osd.op_w_latency_in_bytes_histogram":  latencyHistogram("op_w_latency", "Latency of write operations, in seconds."),
	"osd.op_rw_latency_in_bytes_histogram": latencyHistogram("op_rw_latency", "Latency of read-modify-write operations, in seconds."),
}

func latencyHistogram(latency, help string) latencyFamily {
	return latencyFamily{latency: latency, family: &Family{
		Name: "ceph_osd_" + latency + "_seconds", Help: help, Kind: Histogram, Labels: []string{"ceph_daemon"},
		Source: "perf histogram dump", Cost: "1 admin-socket command an OSD (0.15 MB), only with --collector.daemon.histograms",
	}}
}

func daemonFamilies() []*Family {
	all := []*Family{
		daemonSocketUp, daemonSockets, daemonCPU, daemonResident, daemonVirtual, daemonThreads, daemonStart,
	}
	for _, f := range latencyFamilies {
		all = append(all, f.family)
	}
	return all
}
