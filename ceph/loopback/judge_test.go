package loopback

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// theNode has osd.3 with the pools 1 and 2, and memory to spare.
func theNode() Node {
	return Node{
		OSDsKnown: true,
		OSDs:      []OSD{{ID: 3, FSID: "a", Pools: []uint64{1, 2}, Asked: time.Unix(1, 0)}},
		Memory:    Memory{HasPSI: true, HasInfo: true, Total: 100, Available: 50},
	}
}

// theMapping is an image in pool 2 that is used for the reasons.
func theMapping(reasons ...Reason) Mapping {
	m := Mapping{Device: "rbd0", Driver: KRBD, Pool: "vms", PoolID: 2, Image: "disk", FSID: "a"}
	for _, r := range reasons {
		m.Uses = append(m.Uses, Use{Reason: r, Device: "rbd0"})
	}
	return m
}

func TestJudge(t *testing.T) {
	for name, tc := range map[string]struct {
		node    func(*Node)
		mapping func(*Mapping)
		reasons []Reason
		level   Level // the least, where known is false
		known   bool
	}{
		"idle":                                 {level: Info, known: true},
		"direct":                               {reasons: []Reason{Direct}, level: Notice, known: true},
		"page cache":                           {reasons: []Reason{PageCache}, level: Warning, known: true},
		"file system":                          {reasons: []Reason{Filesystem}, level: Warning, known: true},
		"worst of several":                     {reasons: []Reason{Direct, Filesystem, Direct}, level: Warning, known: true},
		"swap":                                 {reasons: []Reason{Swap}, level: Critical, known: true},
		"pressure":                             {node: func(n *Node) { n.Memory.Full = 0.011 }, reasons: []Reason{PageCache}, level: Critical, known: true},
		"pressure at its limit":                {node: func(n *Node) { n.Memory.Full = 0.01 }, reasons: []Reason{PageCache}, level: Warning, known: true},
		"little memory":                        {node: func(n *Node) { n.Memory.Available = 4 }, reasons: []Reason{Filesystem}, level: Critical, known: true},
		"memory at its limit":                  {node: func(n *Node) { n.Memory.Available = 5 }, reasons: []Reason{Filesystem}, level: Warning, known: true},
		"pressure beside direct":               {node: func(n *Node) { n.Memory.Full = 0.5 }, reasons: []Reason{Direct}, level: Notice, known: true},
		"pressure beside idle":                 {node: func(n *Node) { n.Memory.Full = 0.5 }, level: Info, known: true},
		"stuck":                                {mapping: func(m *Mapping) { m.InFlight, m.Oldest = 1, StuckAfter }, reasons: []Reason{Direct}, level: Critical, known: true},
		"slow":                                 {mapping: func(m *Mapping) { m.InFlight, m.Oldest = 1, StuckAfter-1 }, reasons: []Reason{Direct}, level: Notice, known: true},
		"another pool":                         {mapping: func(m *Mapping) { m.PoolID = 9 }, reasons: []Reason{Swap}, level: None, known: true},
		"another cluster":                      {mapping: func(m *Mapping) { m.FSID = "b" }, reasons: []Reason{Swap}, level: None, known: true},
		"mapping without a cluster":            {mapping: func(m *Mapping) { m.FSID = "" }, level: Info, known: true},
		"OSD without a cluster":                {node: func(n *Node) { n.OSDs[0].FSID = "" }, level: Info, known: true},
		"no OSD":                               {node: func(n *Node) { n.OSDs = nil }, reasons: []Reason{Swap}, level: None, known: true},
		"read-only":                            {mapping: func(m *Mapping) { m.ReadOnly = true }, reasons: []Reason{Filesystem}, level: Info, known: true},
		"OSDs not known":                       {node: func(n *Node) { n.OSDs, n.OSDsKnown = nil, false }, level: None},
		"one OSD is enough":                    {node: func(n *Node) { n.OSDsKnown = false }, level: Info, known: true},
		"silent OSD":                           {node: func(n *Node) { n.OSDs[0].Asked = time.Time{} }, level: None},
		"silent OSD beside another":            {node: func(n *Node) { n.OSDs = append(n.OSDs, OSD{ID: 4}) }, level: Info, known: true},
		"silent OSD, another cluster":          {node: func(n *Node) { n.OSDs[0] = OSD{ID: 3, FSID: "b"} }, level: None, known: true},
		"pool not known":                       {mapping: func(m *Mapping) { m.PoolID = 0 }, reasons: []Reason{PageCache}, level: None},
		"pool not known, no OSD":               {node: func(n *Node) { n.OSDs = nil }, mapping: func(m *Mapping) { m.PoolID = 0 }, level: None, known: true},
		"header here":                          {mapping: func(m *Mapping) { m.PoolID, m.HeaderPoolID = 9, 2 }, reasons: []Reason{PageCache}, level: None, known: true},
		"object map here":                      {mapping: func(m *Mapping) { m.PoolID, m.HeaderPoolID, m.ObjectMap = 9, 2, true }, reasons: []Reason{PageCache}, level: Warning, known: true},
		"object map elsewhere":                 {mapping: func(m *Mapping) { m.HeaderPoolID, m.ObjectMap = 9, true }, reasons: []Reason{PageCache}, level: Warning, known: true},
		"object map here, pool not known":      {mapping: func(m *Mapping) { m.PoolID, m.HeaderPoolID, m.ObjectMap = 0, 2, true }, reasons: []Reason{PageCache}, level: Warning, known: true},
		"parent here":                          {mapping: func(m *Mapping) { m.PoolID, m.Parents = 9, []Parent{{"old", 8, "p"}, {"rbd", 1, "q"}} }, reasons: []Reason{PageCache}, level: Warning, known: true},
		"parent here, idle":                    {mapping: func(m *Mapping) { m.PoolID, m.Parents = 9, []Parent{{"rbd", 1, "q"}} }, level: Info, known: true},
		"parent elsewhere":                     {mapping: func(m *Mapping) { m.PoolID, m.Parents = 9, []Parent{{"old", 8, "p"}} }, reasons: []Reason{PageCache}, level: None, known: true},
		"parent here, pool not known":          {mapping: func(m *Mapping) { m.PoolID, m.Parents = 0, []Parent{{"rbd", 1, "q"}} }, reasons: []Reason{PageCache}, level: Warning, known: true},
		"processes not seen":                   {mapping: func(m *Mapping) { m.Unseen = []Reason{PageCache} }, level: Info},
		"processes not seen, mounted":          {mapping: func(m *Mapping) { m.Unseen = []Reason{PageCache} }, reasons: []Reason{Filesystem}, level: Warning, known: true},
		"processes not seen, written to never": {mapping: func(m *Mapping) { m.Unseen, m.Untouched = []Reason{PageCache}, true }, level: Info, known: true},
		"mounts not seen, written to never":    {mapping: func(m *Mapping) { m.Unseen, m.Untouched = []Reason{Swap}, true }, level: Info},
		"mounts not seen":                      {mapping: func(m *Mapping) { m.Unseen = []Reason{Filesystem, Swap} }, reasons: []Reason{PageCache}, level: Warning},
		"nothing seen but swap":                {mapping: func(m *Mapping) { m.Unseen = []Reason{PageCache} }, reasons: []Reason{Swap}, level: Critical, known: true},
		"not seen, no pool here":               {mapping: func(m *Mapping) { m.Unseen, m.PoolID = []Reason{Swap}, 9 }, level: None, known: true},
		"no PSI":                               {node: func(n *Node) { n.Memory.HasPSI = false }, reasons: []Reason{PageCache}, level: Warning, known: true},
		"memory not known":                     {node: func(n *Node) { n.Memory = Memory{HasPSI: true} }, reasons: []Reason{PageCache}, level: Warning},
		"memory not known, PSI high":           {node: func(n *Node) { n.Memory = Memory{HasPSI: true, Full: 0.2} }, reasons: []Reason{PageCache}, level: Critical, known: true},
		"memory not known, direct":             {node: func(n *Node) { n.Memory = Memory{} }, reasons: []Reason{Direct}, level: Notice, known: true},
	} {
		t.Run(name, func(t *testing.T) {
			n, m := theNode(), theMapping(tc.reasons...)
			if tc.node != nil {
				tc.node(&n)
			}
			if tc.mapping != nil {
				tc.mapping(&m)
			}
			v := Judge(n, m)
			if v.Level != tc.level || v.Known != tc.known {
				t.Errorf("level %s, known %v, want %s, %v", v.Level, v.Known, tc.level, tc.known)
			}
			if v.Known && !v.LocalKnown || len(v.Local) > 0 && !v.LocalKnown {
				t.Errorf("known %v, OSDs here %v, known %v", v.Known, v.Local, v.LocalKnown)
			}
			if v.Known != (len(v.Unknown) == 0) {
				t.Errorf("known %v, unknown %q", v.Known, v.Unknown)
			}
		})
	}
}

func TestCures(t *testing.T) {
	for name, tc := range map[string]struct {
		mapping func(*Mapping)
		reasons []Reason
		want    []string
	}{
		"idle": {want: []string{"rbd unmap /dev/rbd0"}},
		"idle nbd": {
			mapping: func(m *Mapping) { m.Device, m.Driver = "nbd2", NBD },
			want:    []string{"rbd-nbd unmap /dev/nbd2"},
		},
		"idle beside an instance": {mapping: func(m *Mapping) { m.Instance = "web1" }, want: []string{""}},
		"instance through the page cache": {
			mapping: func(m *Mapping) { m.Instance = "web1" },
			reasons: []Reason{PageCache},
			want: []string{
				"gnt-cluster modify -D rbd:access=userspace && gnt-instance reboot --type=full web1",
				"gnt-instance modify -H disk_cache=none web1 && gnt-instance reboot --type=full web1",
				"ceph osd pool set vms crush_rule RULE",
				"gnt-instance migrate --target-node=NODE web1",
			},
		},
		"instance with O_DIRECT": {
			mapping: func(m *Mapping) { m.Instance = "web1" },
			reasons: []Reason{Direct},
			want: []string{
				"gnt-cluster modify -D rbd:access=userspace && gnt-instance reboot --type=full web1",
				"ceph osd pool set vms crush_rule RULE",
				"gnt-instance migrate --target-node=NODE web1",
			},
		},
		"file system and swap": {
			mapping: func(m *Mapping) {
				m.Uses = []Use{{Reason: Filesystem, Path: "/srv/it's"}, {Reason: Swap, Path: "/dev/dm-0"}}
			},
			want: []string{`umount -A '/srv/it'\''s'`, "swapoff /dev/dm-0", "ceph osd pool set vms crush_rule RULE"},
		},
		"data pool": {
			mapping: func(m *Mapping) { m.DataPool = "data" },
			reasons: []Reason{Direct},
			want:    []string{"ceph osd pool set data crush_rule RULE"},
		},
		"object map in another pool": {
			mapping: func(m *Mapping) { m.DataPool, m.PoolID, m.HeaderPoolID, m.ObjectMap = "data", 1, 2, true },
			reasons: []Reason{Direct},
			want:    []string{"ceph osd pool set data crush_rule RULE", "ceph osd pool set vms crush_rule RULE"},
		},
		"only the object map is here": {
			mapping: func(m *Mapping) { m.DataPool, m.PoolID, m.HeaderPoolID, m.ObjectMap = "data", 9, 2, true },
			reasons: []Reason{Direct},
			want:    []string{"ceph osd pool set vms crush_rule RULE"},
		},
		"only the parent is here": {
			mapping: func(m *Mapping) {
				m.PoolID, m.Namespace, m.Image, m.Parents = 9, "tenant", "my disk", []Parent{{"golden", 1, "p"}, {"golden", 1, "q"}}
			},
			reasons: []Reason{Direct},
			want:    []string{"rbd flatten 'vms/tenant/my disk'", "ceph osd pool set golden crush_rule RULE"},
		},
		"image and parent are here": {
			mapping: func(m *Mapping) { m.Parents = []Parent{{"golden", 1, "p"}, {"old", 8, "q"}} },
			reasons: []Reason{Direct},
			want:    []string{"rbd flatten vms/disk", "ceph osd pool set vms crush_rule RULE", "ceph osd pool set golden crush_rule RULE"},
		},
		"parent in the same pool": {
			mapping: func(m *Mapping) { m.Parents = []Parent{{"vms", 2, "p"}} },
			reasons: []Reason{Direct},
			want:    []string{"ceph osd pool set vms crush_rule RULE"},
		},
		"not here": {mapping: func(m *Mapping) { m.PoolID = 9 }, reasons: []Reason{Swap}},
	} {
		t.Run(name, func(t *testing.T) {
			m := theMapping(tc.reasons...)
			if tc.mapping != nil {
				tc.mapping(&m)
			}
			var got []string
			for _, c := range Judge(theNode(), m).Cures {
				got = append(got, c.Command)
				if c.Text == "" {
					t.Errorf("cure %q does not say what it does", c.Command)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlace(t *testing.T) {
	pools := []Pool{{ID: 2, Name: "vms"}, {ID: 3, Name: "data"}}
	for name, tc := range map[string]struct {
		data uint64
		want Mapping
	}{
		"own pool":          {0, Mapping{PoolID: 2}},
		"own pool as data":  {2, Mapping{PoolID: 2}},
		"data pool":         {3, Mapping{PoolID: 3, DataPool: "data", HeaderPoolID: 2, ObjectMap: true}},
		"pool nobody knows": {9, Mapping{HeaderPoolID: 2, ObjectMap: true}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Mapping{Pool: "vms"}
			got.Place(tc.data, true, pools)
			tc.want.Pool = "vms"
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
