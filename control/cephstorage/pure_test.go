package cephstorage

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestPlaceMons(t *testing.T) {
	list := strings.Fields
	for _, c := range []struct {
		name                string
		members, away, have string
		want                int
		mons                string
	}{
		{"nobody", "", "", "", 3, ""},
		{"one", "a", "", "", 3, "a"},
		{"two grow to one", "a b", "", "a", 3, "a"},
		{"three", "a b c", "", "a", 3, "a b c"},
		{"four, four are too many", "a b c d", "", "a", 5, "a b c"},
		{"five", "a b c d e", "", "a b c", 5, "a b c d e"},
		{"those that are there stay", "a b c d", "", "d c", 3, "c d a"},
		{"two that were left are not made one", "a b", "", "a b", 3, "a b"},
		{"one that went is made anew", "a b d", "", "a b c", 3, "a b d"},
		{"one that is away counts", "a b d", "c", "a b c", 3, "a b c"},
		{"one that is away and has none does not", "a b", "c", "a", 3, "a"},
		{"more than wanted stay", "a b c", "", "a b c", 1, "a b c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			equal(t, "mons", c.mons, strings.Join(placeMons(list(c.members), list(c.away), list(c.have), c.want), " "))
		})
	}
}

func TestPlaceMgrs(t *testing.T) {
	list := strings.Fields
	for _, c := range []struct{ name, members, have, mons, mgrs string }{
		{"one", "a", "", "a", "a"},
		{"with the mons", "a b c", "", "b c", "b c"},
		{"one stays", "a b c", "c", "a b", "c a"},
		{"not enough mons", "a b", "", "b", "b a"},
		{"one that went is made anew", "a b", "a c", "a b", "a b"},
		{"more than wanted stay", "a b c", "a b c", "a b c", "a b c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			equal(t, "mgrs", c.mgrs, strings.Join(placeMgrs(list(c.members), list(c.have), list(c.mons)), " "))
		})
	}
}

func TestPublicAddress(t *testing.T) {
	list := strings.Fields
	for _, c := range []struct{ name, addresses, inventory, network, want string }{
		{"the only one", "10.0.0.1/24 fe80::1/64", "node1", "", "10.0.0.1"},
		{"that of the inventory", "10.0.0.1/24 10.0.1.1/24", "10.0.1.1", "", "10.0.1.1"},
		{"in the network", "10.0.0.1/24 10.0.1.1/24", "10.0.0.1", "10.0.1.0/24", "10.0.1.1"},
		{"the master's moving address", "10.0.0.99/32 10.0.0.1/24", "10.0.0.1", "10.0.0.0/24", "10.0.0.1"},
		{"in the second network", "10.0.2.1/24", "", "10.0.1.0/24, 10.0.2.0/24", "10.0.2.1"},
		{"IPv6", "10.0.0.1/24 fd00::1/64", "node1", "fd00::/64", "fd00::1"},
		{"none", "127.0.0.1/8", "node1", "", "has no address but that of loopback"},
		{"none in the network", "10.0.0.1/24", "node1", "10.0.1.0/24", "has no address in 10.0.1.0/24"},
		{"several", "10.0.0.1/24 10.0.1.1/24", "node1", "", "has several addresses (10.0.0.1/24, 10.0.1.1/24), and none of them is its address in the inventory"},
		{"not an address", "10.0.0.1", "node1", "", `read address "10.0.0.1": netip.ParsePrefix("10.0.0.1"): no '/'`},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr, err := publicAddress(list(c.addresses), c.inventory, c.network)
			got := addr.String()
			if err != nil {
				got = err.Error()
			}
			equal(t, "address", c.want, got)
		})
	}
}

func TestMonAddresses(t *testing.T) {
	equal(t, "IPv4", "[v2:10.0.0.1:3300,v1:10.0.0.1:6789]", monAddresses(netip.MustParseAddr("10.0.0.1")))
	equal(t, "IPv6", "[v2:[fd00::1]:3300,v1:[fd00::1]:6789]", monAddresses(netip.MustParseAddr("fd00::1")))
}

func TestConf(t *testing.T) {
	for name, c := range map[string]conf{
		"plain": {
			FSID: otherFSID, MonHost: []string{"[v2:10.0.0.1:3300,v1:10.0.0.1:6789]", "[v2:10.0.0.2:3300,v1:10.0.0.2:6789]"},
			settings: settings{Size: 3, MinSize: 2, MemoryTarget: 4 << 30},
		},
		"networks": {
			FSID: otherFSID, MonHost: []string{monAddresses(netip.MustParseAddr("fd00::1"))},
			settings: settings{Size: 2, MinSize: 2, MemoryTarget: 1 << 30, PublicNetwork: "fd00::/64", ClusterNetwork: "fd01::/64"},
		},
	} {
		t.Run(name, func(t *testing.T) { golden(t, "testdata/"+name+".conf", c.String()) })
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, file, string(want), got)
}

func TestLosing(t *testing.T) {
	list := strings.Fields
	for _, c := range []struct{ name, mons, in, leaves, stay, want string }{
		{"one of three", "a b c", "a b c", "c", "a b", ""},
		{"one of three that is down", "a b c", "a b", "c", "a b", ""},
		{"one of three while another is down", "a b c", "a b", "b", "a c", "without mon.b, only 1 of the 2 other mons are in quorum"},
		{"the same, with one added before", "a b c", "a b", "b", "a c d", ""},
		{"one of two", "a b", "a b", "b", "a", ""},
		{"the last", "a", "a", "a", "", "without mon.a, only 0 of the 0 other mons are in quorum"},
		{"those of others count", "a b c x y", "a b c", "c", "a b", "without mon.c, only 2 of the 4 other mons are in quorum"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var q quorum
			q.Names = list(c.in)
			for _, name := range list(c.mons) {
				q.Monmap.Mons = append(q.Monmap.Mons, struct {
					Name  string  `json:"name"`
					Addrs addrvec `json:"public_addrs"`
				}{Name: name})
			}
			equal(t, "text", c.want, q.losing(c.leaves, list(c.stay)))
		})
	}
}

func TestWantedRule(t *testing.T) {
	for _, c := range []struct {
		hosts, size int
		want        string
	}{{1, 3, osdRule}, {2, 3, osdRule}, {3, 3, hostRule}, {1, 1, hostRule}, {2, 2, hostRule}} {
		equal(t, "rule", c.want, wantedRule(c.hosts, c.size))
	}
}

func TestUnhealed(t *testing.T) {
	for _, c := range []struct {
		state            string
		well, undersized bool
	}{
		{"active+clean", true, true},
		{"active+clean+scrubbing+deep", true, true},
		{"active+clean+snaptrim_wait", true, true},
		{"active+clean+remapped", true, true},
		{"active+undersized", false, true},
		{"active+undersized+degraded", false, true},
		{"active+undersized+degraded+remapped+backfill_wait", false, false},
		{"active+recovery_wait+degraded", false, false},
		{"active+recovering", false, false},
		{"active+undersized+remapped+backfill_toofull", false, false},
		{"undersized+degraded+peered", false, false},
		{"stale+active+clean", false, false},
		{"stale+active+undersized+degraded", false, false},
		{"peering", false, false},
		{"activating+undersized", false, false},
		{"unknown", false, false},
		{"active+clean+inconsistent", false, false},
		{"down", false, false},
	} {
		status, err := parse[clusterStatus]("status", []byte(`{"pgmap":{"num_pgs":8,"pgs_by_state":[{"state_name":"`+c.state+`","count":8}]}}`))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, c.state, c.well, status.unhealed(false) == "")
		equal(t, c.state+", undersized let pass", c.undersized, status.unhealed(true) == "")
	}
}

func TestLack(t *testing.T) {
	all := wanted{mons: []string{"a", "b"}, mgrs: 2, osds: 3, active: true}
	short := all
	short.active = false
	const up = `{"quorum_names":["a","b"],"mgrmap":{"available":true,"num_standbys":1},"osdmap":{"num_up_osds":3},`
	for _, c := range []struct {
		status string
		wanted wanted
		want   string
	}{
		{`{"quorum_names":["b"]}`, all, "mon.a not in quorum"},
		{`{"quorum_names":["a","b"]}`, all, "no mgr is active"},
		{`{"quorum_names":["a","b"],"mgrmap":{"available":true}}`, all, "1 of 2 mgrs"},
		{`{"quorum_names":["a","b"],"mgrmap":{"available":true,"num_standbys":1},"osdmap":{"num_up_osds":2}}`, all, "2 of 3 OSDs up"},
		{up + `"pgmap":{"num_pgs":9,"pgs_by_state":[{"state_name":"undersized+peered","count":8}]}}`, all, "8 of 9 placement groups are not active"},
		{up + `"pgmap":{"num_pgs":9,"pgs_by_state":[{"state_name":"undersized+peered","count":8}]}}`, short, ""},
		{up + `"pgmap":{}}`, all, ""},
	} {
		status, err := parse[clusterStatus]("status", []byte(c.status))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, c.status, c.want, status.lack(c.wanted))
	}
}

func TestCheckHealthOfRelease(t *testing.T) {
	plan := &control.Plan{}
	for release, want := range map[string]string{
		"pacific":  "OSD_DOWN (1 osds down), OSD_HOST_DOWN (1 host (1 osds) down), PG_AVAILABILITY (Reduced data availability: 8 pgs stale), PG_DEGRADED (Degraded data redundancy: 8/16 objects degraded (50.000%), 6 pgs degraded, 17 pgs undersized), SLOW_OPS (4 slow ops, oldest one blocked for 186 sec, osd.2 has slow ops)",
		"reef":     "",
		"tentacle": "",
	} {
		plan.Blockers = nil
		checkHealth(plan, sample[health](t, release, "health_detail"))
		got := ""
		for _, b := range plan.Blockers {
			got = strings.TrimPrefix(b.Text, "the cluster is not well: ")
		}
		equal(t, release, want, got)
	}
}

// sample reads an answer that was captured from a real cluster.
func sample[T any](t *testing.T, release, name string) *T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", release, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := parse[T](name, data)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestReleases(t *testing.T) {
	for _, c := range []struct {
		release     string
		hosts       []string
		osdsOfVM    []int
		up, hostsUp int
		inactive    int
		rbd         []string
	}{
		{"pacific", []string{"vm", "vm9"}, []int{0, 1}, 2, 1, 0, []string{"vms", "loop"}},
		{"reef", []string{"vm"}, []int{0, 1, 2}, 3, 1, 0, []string{"vms"}},
		{"tentacle", []string{"vm"}, []int{0, 1, 2}, 3, 1, 0, []string{"vms"}},
	} {
		t.Run(c.release, func(t *testing.T) {
			q, m := sample[quorum](t, c.release, "quorum_status"), sample[mgrMap](t, c.release, "mgr_dump")
			view := &cephView{osds: *sample[osdMap](t, c.release, "osd_dump"), tree: *sample[tree](t, c.release, "osd_tree")}
			equal(t, "mons", []string{"a"}, q.names())
			equal(t, "quorum", []string{"a"}, q.Names)
			if addrs := q.Monmap.Mons[0].Addrs.String(); !strings.HasPrefix(addrs, "[v2:1") || strings.Count(addrs, ",") != 1 {
				t.Errorf("addresses: %s", addrs)
			}
			equal(t, "mgrs", []string{"x"}, m.names())
			hosts := slices.Sorted(slices.Values(view.tree.hosts()))
			equal(t, "hosts", c.hosts, hosts)
			equal(t, "OSDs of vm", c.osdsOfVM, view.tree.osdsOf("vm"))
			hostsUp, up := view.placesWithout(view.tree.osdsBelow("default", ""), nil)
			equal(t, "hosts and OSDs that take data", []int{c.hostsUp, c.up}, []int{hostsUp, up})
			var rbd []string
			for _, p := range view.osds.Pools {
				if _, ok := p.Applications["rbd"]; ok {
					rbd = append(rbd, p.Name)
				}
			}
			equal(t, "pools for RBD", c.rbd, rbd)
			equal(t, "inactive", c.inactive, sample[clusterStatus](t, c.release, "status").inactive())
		})
	}
}

func TestCaps(t *testing.T) {
	for _, c := range []struct {
		name          string
		have          caps
		with, without caps
	}{
		{name: "no such key"},
		{
			name: "other pools", have: caps{"mon": "profile rbd", "osd": "profile rbd pool=rbd"},
			with: caps{"mon": "profile rbd", "osd": "profile rbd pool=rbd, profile rbd pool=far"},
		},
		{
			name: "this one", have: caps{"mon": "profile rbd", "osd": "profile rbd pool=rbd, profile rbd pool=far"},
			without: caps{"mon": "profile rbd", "osd": "profile rbd pool=rbd"},
		},
		{name: "this one alone, without which it could use all", have: caps{"mon": "profile rbd", "osd": "profile rbd pool=far"}},
		{name: "all", have: caps{"mon": "profile rbd", "osd": "profile rbd"}},
		{name: "what the admin has thought of", have: caps{"mon": "allow r", "osd": "allow rwx pool=far"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			equal(t, "with the pool", c.with, c.have.with("far"))
			equal(t, "without the pool", c.without, c.have.without("far"))
		})
	}
}

func TestConfigAndRules(t *testing.T) {
	c := &cephView{config: *sample[[]configEntry](t, "pacific", "config_dump"), rules: *sample[[]crushRule](t, "pacific", "osd_crush_rule_dump")}
	equal(t, "setting", "1", c.setting("global", defaultRule))
	equal(t, "setting of mons", "false", c.setting("mon", "auth_allow_insecure_global_id_reclaim"))
	equal(t, "none", "", c.setting("global", "auth_allow_insecure_global_id_reclaim"))
	equal(t, "domain", "host", c.rule(hostRule).domain())
	equal(t, "domain of cephctl's", "osd", c.rule(osdRule).domain())
	equal(t, "id", "1", c.osdRuleID())
	c.rules = c.rules[:1]
	equal(t, "next id", "1", c.osdRuleID())
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		if q, err := parse[quorum]("", data); err == nil {
			_, _ = q.names(), q.losing("a", []string{"b"})
			for _, m := range q.Monmap.Mons {
				_ = m.Addrs.String()
			}
		}
		if m, err := parse[mgrMap]("", data); err == nil {
			_ = m.names()
		}
		if s, err := parse[clusterStatus]("", data); err == nil {
			_, _ = s.lack(wanted{mons: []string{"a"}, active: true}), s.unhealed(true)
		}
		if h, err := parse[health]("", data); err == nil {
			checkHealth(&control.Plan{}, h)
		}
		m, err1 := parse[osdMap]("", data)
		tr, err2 := parse[tree]("", data)
		if err1 == nil && err2 == nil {
			c := &cephView{osds: *m, tree: *tr}
			_, _ = c.placesWithout(tr.osdsBelow("default", ""), []int{1})
			for i := range m.Pools {
				_ = tr.hostsOf(c.osdsOf(&m.Pools[i]))
			}
		}
		if r, err := parse[[]crushRule]("", data); err == nil {
			for _, rule := range *r {
				_ = rule.domain()
				_, _ = rule.takes()
			}
		}
	})
}

func TestNotYet(t *testing.T) {
	for _, c := range []struct {
		err  error
		lack string
		bad  bool
	}{
		{nil, "", false},
		{failure(11, "Error EAGAIN: wait"), "wait", false},
		{failure(16, "noise\nError EBUSY: no"), "no", false},
		{failure(1, "timed out"), "", true},
		{failure(22, "Error EINVAL: what"), "", true},
	} {
		lack, err := notYet(c.err)
		if diff := cmp.Diff(c.lack, lack); diff != "" || (err != nil) != c.bad {
			t.Errorf("%v: %q, %v", c.err, lack, err)
		}
	}
}
