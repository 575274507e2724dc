package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/exporter"
)

// onlyInModule are the series of the mgr's module that the exporter does not give, by how they begin, and why.
var onlyInModule = map[string]string{
	"ceph_prometheus_collect_duration_seconds": "how long the module itself takes",
	"ceph_rbd_image_metadata":                  "of the rbd collector, which has more of it as ceph_rbd_image_info",
}

// settle is longer than a daemon that has its turn waits before it tells the mgr its counters again, which is 5 s.
const settle = 12 * time.Second

// TestEqualsMgrModule compares all that the mgr's prometheus module gives of an idle cluster with what the exporter
// gives: names, labels and values, each between the values that the exporter gives before and after. The cluster has
// every kind of daemon that the module knows. OSDs on files have no block device: that ceph_disk_occupation is equal,
// TestClusterEqualsMgrModule of the exporter shows.
func TestEqualsMgrModule(t *testing.T) {
	lab.RequireCeph(t)
	lab.RequireServices(t)
	cluster := startCeph(t)
	url := startModule(t, cluster) // first, as the mgr loads its modules anew while the rest is started
	if err := cluster.StartServices(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cluster.CreatePool(t.Context(), "vms"); err != nil {
		t.Fatal(err)
	}
	conn := rados.New(exporterOptions(t, cluster))
	t.Cleanup(conn.Close)
	sockets := &adminsocket.Client{}
	log := &lines{}
	ours := exporter.New(exporter.Options{Log: slog.New(slog.NewTextHandler(log, nil))},
		exporter.NewDaemon(exporter.DaemonOptions{RunDir: cluster.RunDir, Procfs: "/proc", Priority: 5, Caller: sockets}),
		exporter.NewCluster(exporter.ClusterOptions{
			Leader: exporter.LeaderCheck{Mode: exporter.ClusterAuto, CephRun: cluster.RunDir, Caller: sockets},
			Runner: conn,
		}))
	awaitModule(t, url)
	// The mgr tells others of a daemon's registration when the mons have it too, some seconds after its own modules.
	awaitText(t, "the exporter", func() string { return scrape(ours) }, "ceph_rgw_metadata{", "ceph_rbd_mirror_metadata{")

	scrape(ours) // a mon gives its counters from the second scrape on
	c := comparison{cluster: cluster, url: url, ours: ours, log: log, equal: make(map[string]bool)}
	for deadline := time.Now().Add(patience); ; {
		problems := c.measure(t)
		if len(problems) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the exporter and the module differ:\n%s", strings.Join(problems, "\n"))
		}
		t.Logf("measuring again: %s", problems)
	}
}

// comparison measures until each series has been equal once. On a busy machine a daemon tells the mgr late, and what goes
// up and down may have been elsewhere when it did.
type comparison struct {
	cluster *lab.Ceph
	url     string
	ours    http.Handler
	log     *lines
	// equal are the series that have been so.
	equal map[string]bool
}

// measure compares what is there now and returns what differs, has never been equal before, or else is not as it should.
func (c *comparison) measure(t *testing.T) (problems []string) {
	t.Helper()
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	c.log.reset()
	before := parseSeries(scrape(c.ours))
	time.Sleep(settle)
	module := withOurDaemons(t, c.cluster, parseSeries(get(t, c.url)))
	after := parseSeries(scrape(c.ours))

	for _, daemon := range silent(t, c.cluster, after) {
		problem("%s does not answer on its socket", daemon)
	}
	if text := c.log.String(); text != "" {
		problem("the exporter logs\n%s", text)
	}
	compared, total := make(map[string]int), 0
	for s, want := range module {
		if only(s) || passedCheck(s, want) {
			continue
		}
		family, _, _ := strings.Cut(s, "{")
		compared[family]++
		total++
		name := ourName(s, after)
		first, found := before[name]
		last, still := after[name]
		switch {
		case !found || !still:
			problem("the exporter does not give %s", s)
		case want >= min(first, last) && want <= max(first, last):
			c.equal[s] = true
		case !c.equal[s]:
			problem("%s is %v before and %v after, in the module %v", s, first, last, want)
		}
	}
	for family, want := range map[string]int{
		"ceph_fs_metadata": 1, "ceph_mds_metadata": 1, "ceph_rgw_metadata": 1, "ceph_rbd_mirror_metadata": 1,
		"ceph_mds_inodes": 1, "ceph_rgw_put": 1, "ceph_rbd_mirror_replay": 1, "ceph_osd_metadata": 3, "ceph_objecter_op_r": 6,
	} {
		if compared[family] != want {
			problem("%d series of %s were compared, want %d", compared[family], family, want)
		}
	}
	if total < 800 {
		problem("%d series of the module were compared, want at least 800", total)
	}
	return problems
}

// silent returns the daemons from which the exporter gets no answer.
func silent(t *testing.T, cluster *lab.Ceph, ours series) (daemons []string) {
	t.Helper()
	rgw, mirror := clientSocket(t, cluster, lab.RGW), clientSocket(t, cluster, lab.RBDMirror)
	for _, name := range []string{"mon.a", "mgr.x", "osd.0", lab.MDS, rgw.Daemon(), mirror.Daemon()} {
		up := 0.0
		for s, value := range ours {
			if strings.HasPrefix(s, `ceph_daemon_socket_up{ceph_daemon="`+name+`"`) {
				up = value
			}
		}
		if up != 1 {
			daemons = append(daemons, name)
		}
	}
	return daemons
}

// clientSocket finds the admin socket of a daemon that the cluster takes for a client.
func clientSocket(t *testing.T, cluster *lab.Ceph, name string) adminsocket.Socket {
	t.Helper()
	sockets, err := adminsocket.Find(cluster.RunDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sockets {
		if s.Type == "client" && strings.HasPrefix(s.ID, name+".") {
			return s
		}
	}
	t.Fatalf("no admin socket of %s", name)
	return adminsocket.Socket{}
}

var pointer = regexp.MustCompile(`_0x[0-9a-f]+`)

// withOurDaemons gives the perf counters of RGW and rbd-mirror the labels of the exporter. The module names both by
// their numbers in the cluster, which their admin sockets do not tell; it gives the RGW ceph_daemon in families that
// others have too; and it leaves pointers in names, where the exporter adds up what differs in nothing else.
func withOurDaemons(t *testing.T, cluster *lab.Ceph, module series) series {
	t.Helper()
	instance, ok := clientSocket(t, cluster, lab.RGW).InstanceID()
	if !ok {
		t.Fatal("no instance id of the RGW")
	}
	rgw := numberOf(t, module, "ceph_rgw_metadata")
	names := strings.NewReplacer(
		`{instance_id="`+rgw+`"}`, `{instance_id="`+instance+`"}`,
		`{ceph_daemon="`+rgw+`"}`, `{instance_id="`+instance+`"}`,
		`{ceph_daemon="rbd-mirror.`+numberOf(t, module, "ceph_rbd_mirror_metadata")+`"}`,
		`{ceph_daemon="`+clientSocket(t, cluster, lab.RBDMirror).Daemon()+`"}`)
	renamed := make(series, len(module))
	for s, value := range module {
		renamed[names.Replace(pointer.ReplaceAllLiteralString(s, ""))] += value
	}
	return renamed
}

// numberOf returns the label instance_id of the only series of a family.
func numberOf(t *testing.T, module series, family string) string {
	t.Helper()
	for s := range module {
		if strings.HasPrefix(s, family+"{") {
			_, rest, _ := strings.Cut(s, `,instance_id="`)
			number, _, _ := strings.Cut(rest, `"`)
			return number
		}
	}
	t.Fatalf("the module gives no %s", family)
	return ""
}

func only(s string) bool {
	for start := range onlyInModule {
		if strings.HasPrefix(s, start) {
			return true
		}
	}
	return false
}

// passedCheck tells whether a series is of a health check that has passed. The module remembers those and gives them
// the value 0, where the exporter gives none.
func passedCheck(s string, value float64) bool {
	return strings.HasPrefix(s, "ceph_health_detail{") && value == 0
}

// ourName returns the name of a series of the module in the exporter, which has the labels of later releases: 16.2
// calls the label of ceph_pool_objects_repaired poolid and has no label application for pools.
func ourName(s string, ours series) string {
	if strings.HasPrefix(s, "ceph_pool_objects_repaired{") {
		return strings.Replace(s, "{poolid=", "{pool_id=", 1)
	}
	if labels, ok := strings.CutPrefix(s, "ceph_pool_metadata{compression_mode="); ok {
		for name := range ours {
			if strings.HasPrefix(name, "ceph_pool_metadata{application=") && strings.HasSuffix(name, ",compression_mode="+labels) {
				return name
			}
		}
	}
	return s
}

// startModule enables the mgr's prometheus module. It collects anew for every request.
func startModule(t *testing.T, cluster *lab.Ceph) (url string) {
	t.Helper()
	ports, err := lab.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"config", "set", "mgr", "mgr/prometheus/server_addr", "127.0.0.1"},
		{"config", "set", "mgr", "mgr/prometheus/server_port", strconv.Itoa(ports[0])},
		{"config", "set", "mgr", "mgr/prometheus/cache", "false"},
		{"mgr", "module", "enable", "prometheus"},
	} {
		if _, err := cluster.Ceph(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[0])
}

// awaitModule waits until the mgr, which starts anew with its modules, has heard of every daemon.
func awaitModule(t *testing.T, url string) {
	t.Helper()
	awaitText(t, "the module", func() string { return get(t, url) },
		`ceph_mon_num_sessions{ceph_daemon="mon.a"}`, `ceph_osd_op{ceph_daemon="osd.0"}`,
		`ceph_osd_op{ceph_daemon="osd.1"}`, `ceph_osd_op{ceph_daemon="osd.2"}`, `ceph_pg_active{pool_id="2"}`,
		`ceph_mds_inodes{ceph_daemon="`+lab.MDS+`"}`, `fs_id="1",hostname=`, `ceph_rgw_put{`, `ceph_rbd_mirror_replay{`)
}

// awaitText reads until there is all that is wanted.
func awaitText(t *testing.T, who string, read func() string, want ...string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		text, lack := read(), ""
		for _, s := range want {
			if !strings.Contains(text, s) {
				lack = s
			}
		}
		if lack == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not give %s", who, lack)
		}
		time.Sleep(time.Second)
	}
}

// get returns what url answers, nothing while nobody answers.
func get(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(body)
}
