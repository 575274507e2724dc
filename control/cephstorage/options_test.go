package cephstorage

import (
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

func TestOptionValues(t *testing.T) {
	for option, cases := range map[string]struct{ good, bad []string }{
		OptionDisk: {
			good: []string{"/dev/sdb", "/dev/disk/by-id/x", "/srv/osd"},
			bad:  []string{"sdb", "/", "/dev/../dev/sdb", "/dev/sd b", "/dev/sdb/"},
		},
		OptionMons:            {good: []string{"1", "3", "9"}, bad: []string{"0", "2", "11", "-1", "x"}},
		OptionPublicNetwork:   {good: []string{"10.0.0.0/24", "fd00::/64"}, bad: []string{"10.0.0.1/24", "10.0.0.0", "x"}},
		OptionClusterNetwork:  {good: []string{"10.0.1.0/24"}, bad: []string{"10.0.1.0/33"}},
		OptionOSDBackend:      {good: []string{"lvm", "raw", "file"}, bad: []string{"LVM", "zfs"}},
		OptionOSDFileSize:     {good: []string{"1G", "10G"}, bad: []string{"512M", "G", "10GB", "1.5G"}},
		OptionSize:            {good: []string{"1", "10"}, bad: []string{"0", "11", "3.0"}},
		OptionMinSize:         {good: []string{"1"}, bad: []string{"0"}},
		OptionOSDMemoryTarget: {good: []string{"896M", "4G", "939524096"}, bad: []string{"895M", "4g", "-4G", "99999999999T"}},
		OptionHostReserve:     {good: []string{"0", "2G"}, bad: []string{"", "2 G"}},
		OptionPool:            {good: []string{"rbd", "vm-disks_1.2"}, bad: []string{".mgr", "a/b", "a@b", "a:b", strings.Repeat("x", 65)}},
	} {
		o, ok := control.FindOption(Type{}, option)
		if !ok {
			t.Fatalf("there is no option %s", option)
		}
		for _, value := range cases.good {
			if err := o.Check(value); err != nil {
				t.Errorf("%s=%s: %v", option, value, err)
			}
		}
		for _, value := range cases.bad {
			if err := o.Check(value); err == nil || !strings.HasPrefix(err.Error(), "want ") {
				t.Errorf("%s=%s: error %v, want one that says what is wanted", option, value, err)
			}
		}
	}
}

// Defaults pass their own checks.
func TestOptionDefaults(t *testing.T) {
	for _, o := range (Type{}).Options() {
		if o.Default == "" {
			continue
		}
		if err := o.Check(o.Default); err != nil {
			t.Errorf("%s=%s: %v", o.Name, o.Default, err)
		}
	}
	if err := (Type{}).CheckTogether(control.Resolve(Type{}, nil, nil)); err != nil {
		t.Error(err)
	}
}

func TestOptionsTogether(t *testing.T) {
	for _, c := range []struct {
		options control.Values
		want    string
	}{
		{options: control.Values{"size": {"2"}}},
		{options: control.Values{"size": {"1"}}},
		{options: control.Values{"size": {"2"}, "min_size": {"3"}}, want: "min_size=3: want 2 at most, which is size"},
		{options: control.Values{"osd_backend": {"file"}, "osd_file_size": {"2G"}}},
		{options: control.Values{"osd_file_size": {"2G"}}, want: "osd_file_size=2G: it goes with osd_backend=file only"},
	} {
		err := (Type{}).CheckTogether(control.Resolve(Type{}, c.options, nil))
		if got := errorText(err); got != c.want {
			t.Errorf("%v: %q, want %q", c.options, got, c.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
