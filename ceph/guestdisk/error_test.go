package guestdisk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// failed is the error of a command that has ended.
type failed struct {
	code   int
	stderr string
}

func (f failed) Error() string { return fmt.Sprintf("exit status %d: %s", f.code, f.stderr) }
func (f failed) ExitCode() int { return f.code }
func (f failed) Said() string  { return f.stderr }

// scripted is a runner that always fails in the same way.
type scripted struct{ err error }

func (s scripted) Run(context.Context, []byte, ...string) ([]byte, error) { return nil, s.err }

// The messages are those of Ceph 16.2.15, lines joined as the runner does.
func TestExplain(t *testing.T) {
	d := ceph.Device{Image: ceph.Image{Pool: "vms", Name: "disk0"}, User: "instances", Conf: "/etc/ceph/ceph.conf"}
	for _, test := range []struct {
		err        error
		kind, want string
	}{
		{failed{2, "rbd: error opening image disk0: (2) No such file or directory"}, CaseImage, "there is no image vms/disk0"},
		{failed{2, "rbd: error opening pool 'vms': (2) No such file or directory"}, CasePool, "there is no pool vms"},
		{failed{1, "global_init: unable to open config file from search list /etc/ceph/ceph.conf"}, CaseConf, "there is no /etc/ceph/ceph.conf"},
		{failed{13, "handle_auth_bad_method server allowed_methods [2] but i only support [2]; rbd: couldn't connect to the cluster!"}, CaseKey, "client.instances can't log in"},
		{failed{1, "librbd::ImageState: failed to open image: (1) Operation not permitted; rbd: error opening image disk0: (1) Operation not permitted"}, CaseDenied, "client.instances may not use the images of pool vms"},
		{failed{110, "rbd: couldn't connect to the cluster!"}, CaseNoAnswer, "does not answer"},
		{fmt.Errorf("stopped: %w", errNoAnswer), CaseNoAnswer, "does not answer"},
		{failed{17, "rbd: create error: (17) File exists"}, CaseExists, "there is an image vms/disk0 already"},
		{errors.New(`find rbd in /usr/bin: executable file not found in $PATH`), CaseTools, "not installed"},
		{failed{16, "error 16: (16) Device or resource busy"}, "", "(16) Device or resource busy"},
	} {
		err := explain(d, test.err)
		if !strings.Contains(err.Error(), test.want) || !Is(err, test.kind) {
			t.Errorf("%v: got %v", test.err, err)
		}
	}
	if err := explain(d, context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A key that Ceph's tools can't read is printed by them, and not by us.
func TestErrorsHaveNoSecrets(t *testing.T) {
	const key = "AQB5dAdrbbpoARAAcZZ2g0y6ELdzq9A4pgrW+w=="
	for _, stderr := range []string{
		"auth: error parsing file x.keyring: error setting modifier for [client.guest] type=key val=" + key + ": Malformed input; rbd: couldn't connect to the cluster!",
		"something new about " + key,
	} {
		h := New(scripted{failed{5, stderr}})
		_, err := h.Image(t.Context(), ceph.Device{User: "guest"})
		if err == nil || strings.Contains(err.Error(), "AQB5") {
			t.Errorf("error %v", err)
		}
	}
}

func TestCommands(t *testing.T) {
	d := ceph.Device{Image: ceph.Image{Pool: "vms", Namespace: "ns", Name: "disk 0"}, User: "instances", Conf: "/etc/ceph/ceph.conf"}
	const who = " --admin-socket= --conf /etc/ceph/ceph.conf --id instances "
	for want, got := range map[string][]string{
		"rbd" + who + "create --size 1048576B vms/ns/disk 0":                                             CreateCommand(d, 1<<20),
		"rbd" + who + "remove --no-progress vms/ns/disk 0":                                               RemoveCommand(d),
		"rbd" + who + "device map --options noshare vms/ns/disk 0":                                       MapCommand(d),
		"rados" + who + "--pool vms --namespace ns lock get rbd_header.ID cephctl --lock-type exclusive": ClaimCommand(d),
		"ceph" + who + "osd blocklist add 10.0.0.1:0/1":                                                  tool(d, "ceph", []string{"osd", "blocklist", "add", "10.0.0.1:0/1"}),
	} {
		if line := strings.Join(got, " "); line != want {
			t.Errorf("got %s, want %s", line, want)
		}
	}
}
