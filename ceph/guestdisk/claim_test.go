package guestdisk

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// cluster is a runner that answers about one image. Commands are known by a part of their line.
type cluster struct {
	answers map[string]string
	errs    map[string]error
	ran     []string
}

func (c *cluster) Run(_ context.Context, _ []byte, argv ...string) ([]byte, error) {
	line := strings.Join(argv, " ")
	for part, err := range c.errs {
		if strings.Contains(line, part) {
			return nil, err
		}
	}
	for _, read := range []string{"info", "list", "status"} {
		if strings.Contains(line, " "+read+" ") {
			for part, answer := range c.answers {
				if strings.Contains(line, part) {
					return []byte(answer), nil
				}
			}
			return nil, nil
		}
	}
	c.ran = append(c.ran, strings.TrimPrefix(strings.TrimPrefix(line, "rados --admin-socket= --id i --pool vms "), "rbd --admin-socket= --id i "))
	return nil, nil
}

var claimedDevice = ceph.Device{Image: ceph.Image{Pool: "vms", Name: "disk0"}, User: "i"}

const lockInfo = `{"name":"cephctl","type":"exclusive","tag":"","lockers":[{"name":"client.4141","cookie":"T","description":"{\"instance\":\"web1\"}",` +
	`"expiration":"0.000000","addr":"127.0.0.1:0/193813839"}]}`

func answered() *cluster {
	return &cluster{
		answers: map[string]string{
			"rbd --admin-socket= --id i info":    `{"name":"disk0","id":"1026","size":17825792,"format":2}`,
			"lock info rbd_header.1026 cephctl":  lockInfo,
			"image-meta list":                    `{"cephctl.clients":"10.0.0.1:0/1 10.0.0.1:0/2"}`,
			" lock list --format json vms/disk0": `[{"id":"auto 1","locker":"client.5","address":"10.0.0.1:0/2"},{"id":"auto 2","locker":"client.6","address":"10.0.0.1:0/3"}]`,
		},
		errs: map[string]error{},
	}
}

func TestClaim(t *testing.T) {
	claim := Claim{Token: "T", Description: json.RawMessage(`{"instance":"web1"}`)}
	const get = `lock get rbd_header.1026 cephctl --lock-cookie T --lock-description {"instance":"web1"} --lock-type exclusive`
	const forget = "image-meta remove vms/disk0 cephctl.clients"
	const release = "lock break rbd_header.1026 cephctl client.4141 --lock-cookie T"
	none := failed{2, "rbd: removing metadata failed: (2) No such file or directory"}
	for _, test := range []struct {
		name string
		errs map[string]error
		ran  []string
		is   error
		want string
	}{
		{name: "free", ran: []string{get, forget}},
		{name: "never had clients", errs: map[string]error{"image-meta remove": none}, ran: []string{get}},
		{name: "somebody else has it", errs: map[string]error{"lock get": failed{1, "ERROR: failed locking: (16) Device or resource busy; error 16: (16) Device or resource busy"}}, is: ErrClaimed, want: "image vms/disk0 is claimed"},
		{name: "lost on the way", errs: map[string]error{"image-meta remove": failed{5, "(5) Input/output error"}}, ran: []string{get, release}, want: "Input/output error"},
		{name: "no image", errs: map[string]error{"rbd --admin-socket= --id i info": failed{2, "rbd: error opening image disk0: (2) No such file or directory"}}, want: "there is no image vms/disk0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := answered()
			for part, err := range test.errs {
				c.errs[part] = err
			}
			err := New(c).Claim(t.Context(), claimedDevice, claim)
			if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if diff := cmp.Diff(test.ran, c.ran); diff != "" {
				t.Errorf("ran (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHolder(t *testing.T) {
	c := answered()
	h := New(c)
	image, err := h.Image(t.Context(), claimedDevice)
	if err != nil || image.SizeBytes != 17825792 {
		t.Fatalf("image %+v, %v", image, err)
	}
	got, err := h.Holder(t.Context(), claimedDevice, image)
	if err != nil || got.Token != "T" || string(got.Description) != `{"instance":"web1"}` {
		t.Errorf("holder %+v, %v", got, err)
	}
	for meta, want := range map[string][]string{
		`{"cephctl.clients":"10.0.0.1:0/1 10.0.0.1:0/2"}`: {"10.0.0.1:0/1", "10.0.0.1:0/2"},
		`{}`: {"10.0.0.1:0/2", "10.0.0.1:0/3"},
	} {
		c.answers["image-meta list"] = meta
		clients, err := h.Clients(t.Context(), claimedDevice)
		if diff := cmp.Diff(want, clients); diff != "" || err != nil {
			t.Errorf("clients (-want +got):\n%s%v", diff, err)
		}
	}
	if err := h.Release(t.Context(), claimedDevice, "another"); err != nil || len(c.ran) > 0 {
		t.Errorf("the release of another's claim ran %v, %v", c.ran, err)
	}
	c.answers["lock info rbd_header.1026 cephctl"] = `{"name":"cephctl","type":"none","tag":"","lockers":[]}`
	if got, err := h.Holder(t.Context(), claimedDevice, image); got != nil || err != nil {
		t.Errorf("holder of a free image %+v, %v", got, err)
	}
}

// What a client adds to the claim keeps those that are there.
func TestAddClients(t *testing.T) {
	c := answered()
	if err := New(c).AddClients(t.Context(), claimedDevice, "10.0.0.1:0/2", "10.0.0.4:0/4"); err != nil {
		t.Fatal(err)
	}
	want := []string{"image-meta set vms/disk0 cephctl.clients 10.0.0.1:0/1 10.0.0.1:0/2 10.0.0.4:0/4"}
	if diff := cmp.Diff(want, c.ran); diff != "" {
		t.Errorf("ran (-want +got):\n%s", diff)
	}
}
