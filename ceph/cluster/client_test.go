package cluster

import (
	"slices"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
)

// The large maps are asked for again only when their epoch has changed.
func TestClientKeepsMaps(t *testing.T) {
	f := &fakeCluster{dir: "testdata/ceph/16.2/osd-down", answers: map[rados.Command]string{}}
	c := NewClient(f)
	readBoth := func(want ...string) {
		t.Helper()
		f.asked = nil
		osds, err := c.OSDs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		mgrs, err := c.Mgrs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(osds.Metadata) != 3 || osds.Classes[0] != "hdd" || mgrs.Metadata["x"].Release != "pacific" {
			t.Errorf("osds %+v, mgrs %+v", osds, mgrs)
		}
		if !slices.Equal(want, f.asked) {
			t.Errorf("asked %q, want %q", f.asked, want)
		}
	}
	readBoth("osd stat", "osd dump", "osd tree", "osd metadata", "mgr stat", "mgr dump", "mgr metadata")
	readBoth("osd stat", "mgr stat")
	f.answers[rados.OSDStat] = `{"epoch":52}`
	readBoth("osd stat", "osd dump", "osd tree", "mgr stat") // no OSD has started meanwhile
	f.answers[rados.OSDDump] = `{"epoch":52,"osds":[{"osd":0,"up_from":5},{"osd":1,"up_from":10},{"osd":2,"up_from":52}]}`
	f.answers[rados.OSDStat] = `{"epoch":53}`
	readBoth("osd stat", "osd dump", "osd tree", "osd metadata", "mgr stat")
}

// The MDSs are asked about only when there are any and the map has changed.
func TestClientKeepsMDSs(t *testing.T) {
	f := &fakeCluster{dir: "testdata/ceph/16.2/services", answers: map[rados.Command]string{}}
	c := NewClient(f)
	readFSs := func(mdss int, want ...string) {
		t.Helper()
		f.asked = nil
		fss, err := c.FileSystems(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(fss.MDSs) != mdss || len(fss.Metadata) != mdss {
			t.Errorf("file systems %+v, want %d MDSs", fss, mdss)
		}
		if !slices.Equal(want, f.asked) {
			t.Errorf("asked %q, want %q", f.asked, want)
		}
	}
	readFSs(2, "fs dump", "mds metadata")
	readFSs(2, "fs dump")
	f.answers[rados.FSDump] = `{"epoch":7,"standbys":[],"filesystems":[]}`
	readFSs(0, "fs dump")
	delete(f.answers, rados.FSDump)
	readFSs(2, "fs dump", "mds metadata")

	f.answers[rados.FSDump] = `no JSON`
	if fss, err := c.FileSystems(t.Context()); err == nil || fss.Epoch != 0 {
		t.Errorf("file systems %+v, error %v", fss, err)
	}
	delete(f.answers, rados.FSDump)
	f.answers[rados.MDSMetadata] = `no JSON`
	if fss, err := c.FileSystems(t.Context()); err == nil || len(fss.FileSystems) != 1 {
		t.Errorf("file systems %+v, error %v", fss, err)
	}
	delete(f.answers, rados.MDSMetadata)
	readFSs(2, "fs dump", "mds metadata")
}

func TestClientForgetsMapsAfterError(t *testing.T) {
	f := &fakeCluster{dir: "testdata/ceph/16.2/osd-down"}
	c := NewClient(f)
	if _, err := c.OSDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.dir = ""
	if _, err := c.OSDs(t.Context()); err == nil {
		t.Fatal("no error")
	}
	f.dir, f.asked = "testdata/ceph/16.2/osd-down", nil
	if _, err := c.OSDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(f.asked) != 4 {
		t.Errorf("asked %q, want all four commands", f.asked)
	}
}

// A map that was read is of use without what else there is to know, but not kept without it.
func TestClientReturnsMapBesideError(t *testing.T) {
	const broken = `no JSON`
	for _, failing := range []rados.Command{rados.OSDTree, rados.OSDMetadata, rados.MgrMetadata} {
		f := &fakeCluster{dir: "testdata/ceph/16.2/osd-down", answers: map[rados.Command]string{failing: broken}}
		c := NewClient(f)
		osds, osdErr := c.OSDs(t.Context())
		mgrs, mgrErr := c.Mgrs(t.Context())
		if len(osds.OSDs) != 3 || (osds.Classes == nil) != (failing == rados.OSDTree) || (osds.Metadata == nil) != (failing == rados.OSDMetadata) {
			t.Errorf("without %s: OSDs %+v", failing, osds)
		}
		if mgrs.Active != "x" || (mgrs.Metadata == nil) != (failing == rados.MgrMetadata) {
			t.Errorf("without %s: mgrs %+v", failing, mgrs)
		}
		if (osdErr == nil) != (failing == rados.MgrMetadata) || (mgrErr == nil) == (failing == rados.MgrMetadata) {
			t.Errorf("without %s: errors %v and %v", failing, osdErr, mgrErr)
		}

		delete(f.answers, failing)
		f.asked = nil
		if osds, osdErr = c.OSDs(t.Context()); osdErr != nil || osds.Classes == nil || osds.Metadata == nil {
			t.Errorf("with %s again: OSDs %+v, error %v", failing, osds, osdErr)
		}
		if mgrs, mgrErr = c.Mgrs(t.Context()); mgrErr != nil || mgrs.Metadata == nil {
			t.Errorf("with %s again: mgrs %+v, error %v", failing, mgrs, mgrErr)
		}
		if !slices.Contains(f.asked, failing.String()) {
			t.Errorf("asked %q, want %s again", f.asked, failing)
		}
	}
}

// While all placement groups are in one state, nobody lists them.
func TestPGStates(t *testing.T) {
	f := &fakeCluster{dir: "testdata/ceph/16.2/block-devices"}
	c := NewClient(f)
	pools, err := c.PoolPGs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states, err := c.PGStates(t.Context(), pools)
	if err != nil {
		t.Fatal(err)
	}
	check(t, map[int64]PGStates{1: {"active+clean": 1}, 3: {"active+clean": 32}, 4: {"active+clean": 32}}, states)
	if want := []string{"pg dump", "pg stat"}; !slices.Equal(want, f.asked) {
		t.Errorf("asked %q, want %q", f.asked, want)
	}

	brief, err := ParsePGBrief(read(t, "16.2/block-devices/pg_dump_brief.json"))
	if err != nil {
		t.Fatal(err)
	}
	check(t, brief, states)
}
