package ganeti

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/cephstorage"
)

func TestImages(t *testing.T) {
	fake, _, i := newInventory(t)
	fake.files["/2/instances/inst1.lab/info"] = "7"
	fake.job = sample(t, "inst_info.job")
	in := control.Instance{Name: "inst1.lab", Disks: []control.Disk{
		{UUID: "f42e5100-476a-4674-ab6c-1aedf73dec53"}, {UUID: "b3d7c340-57b1-48fe-b74d-c77d870a94b8"},
	}}
	got, err := i.Images(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := []control.Disk{
		{UUID: "f42e5100-476a-4674-ab6c-1aedf73dec53", Image: "381d3fa1-a2b3-4264-ab16-dd52fdcc08dc.rbd.disk0"},
		{UUID: "b3d7c340-57b1-48fe-b74d-c77d870a94b8", Image: "87d8075e-9167-4c01-8cc8-efd0e03c6e2d.rbd.disk1"},
	}
	if diff := cmp.Diff(want, got.Disks); diff != "" {
		t.Errorf("disks (-want +got):\n%s", diff)
	}
	if _, err := i.Images(t.Context(), control.Instance{Name: "none.lab"}); !errors.Is(err, control.ErrUnknown) {
		t.Errorf("of an instance that is not there: %v", err)
	}
}

// What a job says that it asks is what it asks.
func TestJobs(t *testing.T) {
	template := cephstorage.Template{Pool: "rbd"}
	for name, test := range map[string]struct {
		job  func(*Inventory) (control.Job, error)
		want string
	}{
		"start": {
			func(i *Inventory) (control.Job, error) { return i.StartJob("web1.lab"), nil },
			"PUT /2/instances/web1.lab/startup",
		},
		"stop": {
			func(i *Inventory) (control.Job, error) { return i.StopJob("web1.lab", 90*time.Second), nil },
			`PUT /2/instances/web1.lab/shutdown {"timeout":90}`,
		},
		"cluster": {
			func(i *Inventory) (control.Job, error) {
				return i.ChangeDiskParams(template, "", control.Values{"access": {"kernelspace"}, "pool": {"rbd"}}, control.Values{"access": {"userspace"}, "pool": {"rbd"}})
			},
			`PUT /2/modify {"diskparams":{"rbd":{"access":"userspace"}}}`,
		},
		"group": {
			func(i *Inventory) (control.Job, error) {
				return i.ChangeDiskParams(template, "ssd", nil, control.Values{"access": {"userspace"}, "pool": {"fast"}})
			},
			`PUT /2/groups/ssd/modify {"diskparams":{"rbd":{"access":"userspace","pool":"fast"}}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake, _, i := newInventory(t)
			job, err := test.job(i)
			if err != nil {
				t.Fatal(err)
			}
			if job.Text != "RAPI: "+test.want {
				t.Errorf("it says %s, want %s", job.Text, test.want)
			}
			if err := job.Do(t.Context()); err != nil {
				t.Fatal(err)
			}
			method, rest, _ := strings.Cut(test.want, " ")
			path, body, _ := strings.Cut(rest, " ")
			asked := strings.TrimSpace(method + " " + path + "?reason=cephctl " + body)
			if diff := cmp.Diff([]string{asked}, fake.asked); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDiskParamsThatGanetiLacks(t *testing.T) {
	_, _, i := newInventory(t)
	template := cephstorage.Template{Pool: "rbd"}
	for want, change := range map[string][2]control.Values{
		"Ganeti has no disk parameter cache of rbd: it has access, pool": {nil, {"cache": {"none"}}},
		"Ganeti takes no value of pool of rbd back":                      {{"pool": {"rbd"}}, {}},
	} {
		if _, err := i.ChangeDiskParams(template, "ssd", change[0], change[1]); !errors.Is(err, control.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

func TestTraps(t *testing.T) {
	for _, test := range []struct {
		release, access, pool string
		want                  []string
	}{
		{"3.0.2", "userspace", "my-pool", []string{"lets the kernel map"}},
		{"3.1.0~rc2", "userspace", "my-pool", []string{"lets the kernel map", "from pool my-pool"}},
		{"3.1.2", "userspace", "vms", nil},
		{"3.1.2", "userspace", "a.b", []string{"from pool a.b"}},
		{"3.0.2", "kernelspace", "my-pool", nil},
	} {
		_, _, i := newInventory(t)
		got := i.Traps(test.release, control.DiskSpec{Disk: control.Disk{Template: "rbd"}, Params: map[string]string{"access": test.access, "pool": test.pool}})
		if len(got) != len(test.want) {
			t.Errorf("%+v: %q", test, got)
			continue
		}
		for n, words := range test.want {
			if !strings.Contains(got[n], words) {
				t.Errorf("%+v: %q", test, got[n])
			}
		}
	}
}
