package nodes

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestInterrupted kills cephctl at every single step of init, add, offline and readd, after the step has taken effect and
// before it is remembered, and runs the same command again until it is done. The end is what it would have been.
func TestInterrupted(t *testing.T) {
	t.Parallel() // most of the time, daemons are waited for
	s := newInterruptedSite(t)
	for _, c := range interruptions(s) {
		s.killed(c.steps, c.args...)
		c.want()
	}
	s.terminated()
	s.twoAdmins()
	s.wantImage(s.image)
	s.wantNoSecrets()
}

// onlyLong skips what takes too long for every change.
func onlyLong(t *testing.T, takes string) {
	t.Helper()
	if os.Getenv("TEST_LONG") == "" {
		t.Skipf("takes %s: run make e2e-long", takes)
	}
}

// TestInterruptedAlone does so for each step on a site of its own, where nothing else was interrupted before. That takes
// an hour and more: make e2e-long.
func TestInterruptedAlone(t *testing.T) {
	onlyLong(t, "an hour and more")
	walk := newInterruptedSite(t)
	for i, c := range interruptions(walk) {
		steps := walk.killed(c.steps, c.args...)
		c.want()
		for _, step := range steps {
			t.Run(c.name+"/"+step, func(t *testing.T) {
				t.Parallel()
				s := newInterruptedSite(t)
				all := interruptions(s)
				for _, before := range all[:i] {
					s.do(before.args...)
					before.want()
				}
				s.killedAt(step, all[i].args...)
				s.do(all[i].args...)
				all[i].want()
				s.wantImage(s.image)
				s.wantNoSecrets()
			})
		}
	}
}

// interruptedSite is a site on which cephctl is killed.
type interruptedSite struct {
	*site
	// image is the checksum of what was written when the storage cluster had been made.
	image string
}

// newInterruptedSite starts three nodes. Two of them are to become the storage cluster first.
func newInterruptedSite(t *testing.T) *interruptedSite {
	t.Helper()
	s := &interruptedSite{site: newSite(t, 3, 0)}
	s.do("cluster", "init", "--name", "lab", "-S", "ceph:osd_backend=file,osd_file_size=2G,disk=/srv/osd.img,size=2,osd_memory_target=1G,host_reserve=512M")
	for _, node := range s.List()[:2] {
		s.do("node", "add", "--address", node.Address, node.Name)
	}
	return s
}

// interruption is a command that is killed.
type interruption struct {
	name string
	args []string
	// steps is how many it has at least.
	steps int
	// want looks at what has to be so when the command has ended.
	want func()
}

// interruptions are what is done one after the other.
func interruptions(s *interruptedSite) []interruption {
	node := s.Node("node3")
	return []interruption{
		{"init", []string{"storage", "init-distributed-storage", "-s", "ceph", "default"}, 12, func() {
			s.t.Helper()
			s.quiet()
			s.wantCluster(1, 2)
			s.nothingToDo("storage", "init-distributed-storage", "-s", "ceph", "default")
			s.image = s.writeImage()
		}},
		{"add", []string{"node", "add", "--address", node.Address, "node3"}, 6, s.wantThree},
		{"offline", []string{"node", "modify", "--offline=yes", "node3"}, 6, func() {
			s.t.Helper()
			s.wantCluster(2, 2)
			expect(s.t, node, "pgrep -l ceph- || true; ls /srv /etc/ceph /var/lib/ceph/osd /var/lib/ceph/mon",
				"/etc/ceph:\nrbdmap\n\n/srv:\n\n/var/lib/ceph/mon:\n\n/var/lib/ceph/osd:")
			expect(s.t, s.master, "ceph auth ls 2>/dev/null | grep -c 'osd.2\\|node3' || true", "0")
		}},
		{"readd", []string{"node", "add", "--readd", "node3"}, 6, s.wantThree},
	}
}

func (s *interruptedSite) wantThree() {
	s.t.Helper()
	s.wantCluster(3, 3)
	s.wantMarks("node1", "node2", "node3")
	s.wantImage(s.image)
}

// quiet keeps Ceph from warning of what is the host's: how full its disk is, and that pings are slow while it is busy. The
// latter goes on for a quarter of an hour after a network was cut. Nor of what a mon that has come back still has under way, half a
// minute after all was well: cephctl refuses much beside that, and no test could know when it comes. What the site has muted is not
// warned of either.
func (s *site) quiet() {
	run(s.t, s.master, `ceph config set mon mon_data_avail_warn 1
		ceph config set mon mon_op_complaint_time 600
		ceph config set global mon_warn_on_slow_ping_time 600000`)
	if s.muted != "" {
		run(s.t, s.master, "ceph health mute "+s.muted+" --sticky")
	}
}

// killed runs cephctl until it has been killed at every step, once each, of which there are at least so many, and ends
// by itself. It returns the steps.
func (s *site) killed(least int, args ...string) (steps []string) {
	s.t.Helper()
	run(s.t, s.master, "rm -f /root/killed")
	for runs := 0; ; runs++ {
		r := s.cephctlOn(s.master, []string{"FAULT_AT=effect", "FAULT_FILE=/root/killed"}, args...)
		switch {
		case r.code == 0 && runs < least:
			s.t.Fatalf("cephctl %s was killed %d times only, at\n%s", strings.Join(args, " "), runs, run(s.t, s.master, "cat /root/killed"))
		case r.code == 0:
			s.t.Logf("cephctl %s: killed and resumed %d times", strings.Join(args, " "), runs)
			expect(s.t, s.master, "grep -c operation /var/lib/cephctl/state.json || true", "0")
			return strings.Split(run(s.t, s.master, "cat /root/killed"), "\n")
		case r.code != -1 && r.code != 137: // not killed
			s.t.Fatalf("cephctl %s, after being killed %d times: exit status %d\n%s%s", strings.Join(args, " "), runs, r.code, r.stdout, r.stderr)
		case runs > 60:
			s.t.Fatalf("cephctl %s does not come to an end", strings.Join(args, " "))
		}
	}
}

// killedAt runs cephctl until it is killed at one of the steps that killed has returned, or, when that is one which only
// a command has that goes on, to its end.
func (s *site) killedAt(step string, args ...string) {
	s.t.Helper()
	run(s.t, s.master, "rm -f /root/killed")
	r := s.cephctlOn(s.master, []string{"FAULT_AT=effect", "FAULT_FILE=/root/killed", "FAULT_STEP=" + step}, args...)
	switch r.code {
	case 0:
		s.t.Logf("there is no step %q when nothing was interrupted before", step)
		fails(s.t, s.master, "ls /root/killed")
	case -1, 137: // killed
		expect(s.t, s.master, "cat /root/killed", step)
	default:
		s.t.Fatalf("cephctl %s, to be killed at %q: exit status %d\n%s%s", strings.Join(args, " "), step, r.code, r.stdout, r.stderr)
	}
}

// terminated asks cephctl to end in the middle of a drain, and gives the drain up.
func (s *site) terminated() {
	s.t.Helper()
	run(s.t, s.master, "rm -f /root/killed")
	r := s.cephctlOn(s.master, []string{"FAULT_AT=effect", "FAULT_FILE=/root/killed", "FAULT_SIGNAL=TERM"}, "node", "modify", "--offline=yes", "node3")
	for try := 0; try < 20 && !strings.Contains(run(s.t, s.master, "cat /root/killed"), "out "); try++ {
		if r.code != 130 || !strings.Contains(r.stderr, "cephctl node modify --offline=yes node3") {
			s.t.Fatalf("after SIGTERM: exit status %d: %s", r.code, r.stderr)
		}
		r = s.cephctlOn(s.master, []string{"FAULT_AT=effect", "FAULT_FILE=/root/killed", "FAULT_SIGNAL=TERM"}, "node", "modify", "--offline=yes", "node3")
	}
	expect(s.t, s.master, "ceph osd dump | grep -c noout || true", "0")
	s.refused([]string{"operation-pending"}, "node", "modify", "--offline=yes", "node2")
	if r := s.do("storage", "cancel"); !strings.Contains(r.stdout, "node add --readd node3") {
		s.t.Errorf("cancel does not say how to go on: %s", r.stdout)
	}
	expect(s.t, s.master, `ceph osd dump -f json | grep -c '"weight":0[,}]' || true`, "0")
	s.do("node", "add", "--readd", "node3")
	s.wantCluster(3, 3)
}

// twoAdmins has one command begin while another is at work.
func (s *site) twoAdmins() {
	s.t.Helper()
	first := make(chan result)
	go func() { first <- s.cephctl("node", "modify", "--offline=yes", "node3") }()
	var second result
	for range 100 {
		time.Sleep(100 * time.Millisecond)
		if second = s.cephctl("group", "add", "later"); second.code == 5 {
			break
		}
	}
	if second.code != 5 || !strings.Contains(second.stderr, "cephctl node modify --offline=yes node3") || !strings.Contains(second.stderr, "root@node1") {
		s.t.Errorf("the second command: exit status %d: %s", second.code, second.stderr)
	}
	if r := <-first; r.code != 0 {
		s.t.Errorf("the first command: exit status %d: %s", r.code, r.stderr)
	}
	s.do("node", "add", "--readd", "node3")
	s.wantCluster(3, 3)
}
