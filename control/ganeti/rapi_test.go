package ganeti

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWrongPassword(t *testing.T) {
	_, r := newFake(t)
	r.credentials.Password = "guess"
	err := r.get(t.Context(), "/2/nodes", nil, nil)
	if status := new(StatusError); !errors.As(err, &status) || status.Code != http.StatusUnauthorized {
		t.Fatalf("error %v", err)
	}
	if !strings.Contains(err.Error(), "does not know this user or password") || strings.Contains(err.Error(), "guess") {
		t.Errorf("error %v", err)
	}
}

func TestOtherCertificate(t *testing.T) {
	fake, r := newFake(t)
	trust, err := ReadTLS(otherCertificate(t))
	if err != nil {
		t.Fatal(err)
	}
	r.http.Transport.(*http.Transport).TLSClientConfig = trust
	if err := r.get(t.Context(), "/2/nodes", nil, nil); !errors.Is(err, errOtherCertificate) || !strings.HasSuffix(err.Error(), "by ganeti.rapi-certificate") {
		t.Errorf("error %v", err)
	}
	if _, err := ReadTLS("/none"); err == nil || !strings.HasSuffix(err.Error(), "name another by ganeti.rapi-certificate") {
		t.Errorf("without a certificate: %v", err)
	}
	if len(fake.asked) > 0 {
		t.Error("the password was sent to a stranger")
	}
}

// otherCertificate writes a certificate that is as good as the server's.
func otherCertificate(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rapi.pem")
	write(t, path, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o600)
	return path
}

func TestNobodyThere(t *testing.T) {
	fake, r := newFake(t)
	fake.Close()
	err := r.get(t.Context(), "/2/nodes", nil, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "reach Ganeti's remote API at 127.0.0.1:") || !strings.HasSuffix(err.Error(), ": start it: /usr/lib/ganeti/daemon-util start ganeti-rapi, or see /var/log/ganeti/rapi-daemon.log") {
		t.Errorf("error %v", err)
	}
}

func TestJobGoesOn(t *testing.T) {
	fake, r := newFake(t)
	fake.job = `{"status": "running"}`
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // to begin the job
	defer cancel()
	err := r.change(ctx, http.MethodPost, "/2/groups", nil, nil)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "gnt-job watch 7") {
		t.Errorf("error %v", err)
	}
}

func TestCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"good":        {"# for cephctl\nadmin secret write\n", 0o600, ""},
		"for others":  {"admin secret\n", 0o640, "others may read it"},
		"hashed":      {"admin {HA1}7046452df2cbb530877058712cf17bd4 write\n", 0o600, "the password in clear"},
		"no password": {"admin\n", 0o600, `want "USER PASSWORD"`},
		"empty":       {"", 0o600, `want "USER PASSWORD"`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rapi")
			write(t, path, c.content, c.mode)
			got, err := ReadCredentials(path)
			switch {
			case c.want == "" && (err != nil || got != Credentials{"admin", "secret"}):
				t.Errorf("got %v, %v", got, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret")):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if _, err := ReadCredentials(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), `write "USER PASSWORD" into it`) {
		t.Errorf("error %v", err)
	}
}

func TestSite(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadSite(dir); !errors.Is(err, ErrNoGaneti) {
		t.Errorf("error %v", err)
	}
	write(t, filepath.Join(dir, "ssconf_cluster_name"), "cluster.lab\n", 0o644)
	for _, half := range []string{"", "\n"} {
		if _, err := ReadSite(dir); err == nil || errors.Is(err, ErrNoGaneti) || !strings.Contains(err.Error(), "ssconf_master_node is empty or missing: run gnt-cluster redist-conf") {
			t.Errorf("half of a configuration: %v", err)
		}
		write(t, filepath.Join(dir, "ssconf_master_node"), half, 0o644)
	}
	write(t, filepath.Join(dir, "ssconf_master_node"), "node1.lab\n", 0o644)
	s, err := ReadSite(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Cluster != "cluster.lab" || s.CheckMaster("node1") != nil {
		t.Errorf("site %+v", s)
	}
	err = s.CheckMaster("node2.lab")
	if !errors.Is(err, ErrNotMaster) || err.Error() != "this is not the master node of cluster.lab: run this on node1.lab" {
		t.Errorf("error %v", err)
	}
	if got := strings.Join(s.SSHOptions(), " "); !strings.Contains(got, "HostKeyAlias=cluster.lab") {
		t.Errorf("ssh options %s", got)
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
