package transport_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/e2e/lab"
)

// sshd is a real server that is the test's own child: on a free port of this host, with keys and files of its own.
type sshd struct {
	user string
	port int
	// dir has the key that is authorised, and known_hosts.
	dir string
}

// startSSHD starts a server, or skips the test where there is none. In CI (CI=true) it fails instead.
func startSSHD(t *testing.T) *sshd {
	t.Helper()
	program := require(t, "sshd", "/usr/sbin/sshd")
	require(t, "ssh-keygen", "ssh-keygen")
	require(t, "ssh", "ssh")
	ports, err := lab.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	s := &sshd{user: me(t), port: ports[0], dir: t.TempDir()}
	for _, key := range []string{"host_key", "other_host_key", "key"} {
		s.keygen(t, key)
	}
	s.put(t, "authorized_keys", s.get(t, "key.pub"))
	s.put(t, "known_hosts", s.known(t, "host_key"))
	// HOME, so that the shell does not read what the developer has there.
	s.put(t, "sshd_config", fmt.Sprintf(`Port %d
ListenAddress 127.0.0.1
HostKey %[2]s/host_key
AuthorizedKeysFile %[2]s/authorized_keys
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile none
SetEnv HOME=%[2]s
`, s.port, s.dir))
	if os.Getuid() == 0 { // sshd wants it then, and Debian's unit, which does not run, would make it
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.run(t, program)
	return s
}

func (s *sshd) run(t *testing.T, program string) {
	t.Helper()
	log := filepath.Join(s.dir, "log")
	cmd := exec.Command(program, "-D", "-E", log, "-f", filepath.Join(s.dir, "sshd_config"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("sshd said:\n%s", s.get(t, "log"))
		}
	})
	for {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("sshd has ended: %s", s.get(t, "log"))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// config writes the configuration of a client, in which the address node3 is this server, and returns the options for
// it. More lines win over the usual ones.
func (s *sshd) config(t *testing.T, more ...string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ssh_config")
	text := strings.Join(more, "\n") + fmt.Sprintf(`
HostName 127.0.0.1
Port %d
IdentityFile %[2]s/key
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile %[2]s/known_hosts
GlobalKnownHostsFile /dev/null
`, s.port, s.dir)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-F", path}
}

// known returns the line of known_hosts that expects a key of this server.
func (s *sshd) known(t *testing.T, key string) string {
	return fmt.Sprintf("[127.0.0.1]:%d %s", s.port, s.get(t, key+".pub"))
}

func (s *sshd) keygen(t *testing.T, name string) {
	t.Helper()
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.dir, name)).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
}

func (s *sshd) get(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Error(err)
	}
	return string(data)
}

func (s *sshd) put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func require(t *testing.T, name, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed, and CI=true: run e2e/setup.sh", name)
	}
	t.Skipf("%s is not installed: run e2e/setup.sh", name)
	return ""
}

func me(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}
