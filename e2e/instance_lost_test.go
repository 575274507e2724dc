package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// zombieClaim makes the claim of a host that is no node, on an image that a guest has open.
func (s *site) zombieClaim(image string, clients []string) {
	s.t.Helper()
	ctx := s.t.Context()
	out, err := s.ceph.RBD(ctx, "info", "--format", "json", instancePool+"/"+image)
	if err != nil {
		s.t.Fatal(err)
	}
	var info struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(out, &info); err != nil {
		s.t.Fatal(err)
	}
	claim, err := json.Marshal(map[string]string{
		"token": "T", "instance": "zombie.lab", "uuid": "u", "node": "gone", "host": "gone", "boot": "b", "agent": "1.1",
		"since": "2026-01-02T03:04:05Z",
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.ceph.Rados(ctx, "--pool", instancePool, "lock", "get", "rbd_header."+info.ID, "cephctl",
		"--lock-cookie", "T", "--lock-description", string(claim), "--lock-type", "exclusive"); err != nil {
		s.t.Fatal(err)
	}
	if len(clients) > 0 {
		if _, err := s.ceph.RBD(ctx, "image-meta", "set", instancePool+"/"+image, "cephctl.clients", strings.Join(clients, " ")); err != nil {
			s.t.Fatal(err)
		}
	}
}

// watchers returns the clients that have an image open.
func (s *site) watchers(image string) []string {
	s.t.Helper()
	out, err := s.ceph.RBD(s.t.Context(), "status", "--format", "json", instancePool+"/"+image)
	if err != nil {
		s.t.Fatal(err)
	}
	var status struct {
		Watchers []struct {
			Address string `json:"address"`
		} `json:"watchers"`
	}
	if err := json.Unmarshal(out, &status); err != nil {
		s.t.Fatal(err)
	}
	addresses := []string{}
	for _, w := range status.Watchers {
		addresses = append(addresses, w.Address)
	}
	return addresses
}

// testZombie has a guest on a host that nobody can ask. It stops in the middle of its writes, is taken for dead, and its
// client is kept out before another guest starts: when it goes on, it writes nothing any more.
func (s *site) testZombie() {
	s.add("heir.lab", s.writes(4, true))
	zombie, err := s.ceph.StartGuest(s.t.Context(), lab.GuestOptions{Name: "zombie.lab", Disks: []lab.Disk{{Pool: instancePool, Image: "heir.lab"}}})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := zombie.WaitVerified(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	clients := s.watchers("heir.lab")
	s.zombieClaim("heir.lab", clients)
	s.refuse(3, []string{"image-claimed", "zombie.lab on gone", "is still there"}, "instance", "start", "--break-claim", "--yes", "heir.lab")
	if err := zombie.Signal(syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); len(s.watchers("heir.lab")) > 0; time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			s.t.Fatal("the cluster still has the client of a guest that was stopped")
		}
	}
	s.refuse(3, []string{"image-claimed", "zombie.lab on gone", "--break-claim"}, "instance", "start", "heir.lab")
	s.refuse(3, []string{"consent", clients[0]}, "instance", "start", "--break-claim", "heir.lab")
	s.do("instance", "start", "--break-claim", "--yes", "heir.lab")
	if out, err := s.ceph.Ceph(s.t.Context(), "osd", "blocklist", "ls"); err != nil || !bytes.Contains(out, []byte(clients[0])) {
		s.t.Errorf("client %s is not kept out: %s, %v", clients[0], out, err)
	}
	s.verified("heir.lab")
	if err := zombie.Signal(syscall.SIGCONT); err != nil {
		s.t.Fatal(err)
	}
	if err := zombie.WaitFailed(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	s.verified("heir.lab")
	s.do("instance", "stop", "--timeout", "0s", "heir.lab")
	if err := zombie.Stop(); err != nil {
		s.t.Fatal(err)
	}
}

// testRefused wants each reason why an instance can't be added or started told, and nothing left behind.
func (s *site) testRefused() {
	ctx := s.t.Context()
	for _, key := range [][]string{
		{"client.weak", "mon", "profile rbd", "osd", "profile rbd pool=other"},
		{"client.reader", "mon", "profile rbd", "osd", "profile rbd-read-only"},
	} {
		out, err := s.ceph.Ceph(ctx, append([]string{"auth", "get-or-create"}, key...)...)
		if err != nil {
			s.t.Fatal(err)
		}
		conf, err := os.ReadFile(s.ceph.GuestConf)
		if err != nil {
			s.t.Fatal(err)
		}
		file := filepath.Join(s.dir, key[0])
		text := fmt.Sprintf("%s\n[%s]\nkeyring = %s.keyring\n", conf, key[0], file)
		if err := os.WriteFile(file+".conf", []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(file+".keyring", out, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.add("refused.lab", s.writes(4, false))
	for _, test := range []struct {
		params string
		words  []string
	}{
		{"user=nobody", []string{"disk-no-key", "client.nobody"}},
		{"user=weak,conf=" + s.dir + "/client.weak.conf", []string{"disk-denied", "client.weak", "ceph auth caps"}},
		{"conf=/no/such.conf", []string{"disk-conf-missing", "/no/such.conf"}},
		{"access=kernelspace", []string{"disk-no-krbd"}},
	} {
		s.do("group", "modify", "-D", "rbd:"+test.params, "default")
		s.refuse(3, test.words, "instance", "start", "refused.lab")
		s.nothingLeftOf("refused.lab")
		s.do("group", "modify", "-D", "rbd:user=,conf=,access=", "default")
	}
	// Who may only read fails where it is to claim.
	s.do("group", "modify", "-D", "rbd:user=reader,conf="+s.dir+"/client.reader.conf", "default")
	s.refuse(1, []string{"client.reader may not use the images of pool vms"}, "instance", "start", "refused.lab")
	s.nothingLeftOf("refused.lab")
	s.do("group", "modify", "-D", "rbd:user=,conf=", "default")

	s.refuse(3, []string{"disk-no-krbd", "loopback"}, "instance", "start", "--map", "refused.lab")
	s.refuse(3, []string{"disk-no-krbd", "loopback"}, "instance", "activate-disks", "refused.lab")
	s.refuse(3, []string{"disk-no-image", "nowhere"}, "instance", "add", "--disk", "image=nowhere", "a.lab")
	if err := s.ceph.CreateImage(ctx, instancePool, "free", 4); err != nil {
		s.t.Fatal(err)
	}
	s.refuse(3, []string{"disk-exists"}, "instance", "add", "--disk", "image=free,size=4M", "a.lab")
	s.refuse(3, []string{"disk-parameter-in-use"}, "group", "modify", "-D", "rbd:pool=other", "default")
	s.do("instance", "add", "--memory", "900G", "--disk", "size=4M", "huge.lab")
	s.refuse(3, []string{"instance-memory", "921600 MiB"}, "instance", "start", "huge.lab")
	s.nothingLeft("huge.lab")
	s.do("instance", "add", "--memory", "32M", "--disk", "size=4M", "--nic", "bridge=nobr0", "bridged.lab")
	s.refuse(3, []string{"bridge-missing", "nobr0"}, "instance", "start", "bridged.lab")
	if _, err := s.ceph.RBD(ctx, "rm", "--no-progress", instancePool+"/refused.lab"); err != nil {
		s.t.Fatal(err)
	}
	s.refuse(3, []string{"disk-no-image"}, "instance", "start", "refused.lab")
	s.nothingLeftOf("refused.lab")
	s.refuse(2, []string{"not in the inventory"}, "instance", "start", "nobody.lab")
}

// testClusterLost has no mon that answers: that is told in bounded time, and the guest can be stopped all the same.
func (s *site) testClusterLost() {
	s.add("lost.lab", s.writes(4, true))
	s.add("late.lab", s.writes(4, true))
	s.do("instance", "start", "lost.lab")
	s.verified("lost.lab")
	mons := []string{"mon.a", "mon.b", "mon.c"}
	for _, mon := range mons {
		if err := s.ceph.Signal(mon, syscall.SIGSTOP); err != nil {
			s.t.Fatal(err)
		}
	}
	s.refuse(3, []string{"disk-no-answer"}, "instance", "start", "late.lab")
	s.nothingLeftOf("late.lab")
	out, code := s.run("instance", "stop", "--timeout", "1s", "lost.lab")
	if code != 0 || !strings.Contains(out, "not given back") {
		s.t.Errorf("exit code %d: %s", code, out)
	}
	s.nothingLeftOf("lost.lab")
	for _, mon := range mons {
		if err := s.ceph.Signal(mon, syscall.SIGCONT); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := s.ceph.WaitHealthy(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.do("instance", "start", "lost.lab")
	s.verified("lost.lab")
	s.do("instance", "stop", "--timeout", "0s", "lost.lab")
}
