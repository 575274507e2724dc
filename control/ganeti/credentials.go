package ganeti

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Credentials are whom the remote API knows.
type Credentials struct{ User, Password string }

// ReadCredentials reads "USER PASSWORD" from a file that belongs to root, or to who runs this, and that nobody else may
// read. Ganeti's own file of users has the same form, with the right to write behind it.
func ReadCredentials(path string) (Credentials, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Credentials{}, fmt.Errorf("read the user of Ganeti's remote API: there is no %s: "+
			"write \"USER PASSWORD\" into it, mode 0600, as in %s/rapi/users", path, Dir)
	}
	if err != nil {
		return Credentials{}, fmt.Errorf("read the user of Ganeti's remote API: %w", err)
	}
	defer f.Close()
	if err := checkPrivate(f); err != nil {
		return Credentials{}, err
	}
	var content [4096]byte
	n, err := f.Read(content[:])
	if err != nil && !errors.Is(err, io.EOF) {
		return Credentials{}, fmt.Errorf("read the user of Ganeti's remote API: %s: %w", path, err)
	}
	for line := range strings.Lines(string(content[:n])) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) < 2 || strings.HasPrefix(words[1], "{") {
			break
		}
		return Credentials{User: words[0], Password: words[1]}, nil
	}
	return Credentials{}, fmt.Errorf("read the user of Ganeti's remote API: %s: want \"USER PASSWORD\", the password in clear", path)
}

func checkPrivate(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read the user of Ganeti's remote API: %w", err)
	}
	owner := -1
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = int(stat.Uid)
	}
	if info.Mode().Perm()&0o077 != 0 || owner != 0 && owner != os.Geteuid() {
		return fmt.Errorf("%s has a password and others may read it: chown root %s; chmod 600 %s", f.Name(), f.Name(), f.Name())
	}
	return nil
}

// ReadTLS returns a configuration that trusts a server with the certificate in a PEM file and no other. Ganeti's is
// self-signed and the same on every node: DIR/rapi.pem, which holds the key as well and is root's.
func ReadTLS(path string) (*tls.Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of Ganeti's remote API: %w: name another by ganeti.rapi-certificate", err)
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil, fmt.Errorf("read the certificate of Ganeti's remote API: %s has none", path)
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		pinned, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read the certificate of Ganeti's remote API: %s: %w", path, err)
		}
		return pin(pinned, path), nil
	}
}

// errOtherCertificate is in the error when the server shows another certificate than the pinned one.
var errOtherCertificate = errors.New("the server's certificate is another one")

// pin checks the certificate itself: it names the cluster, not the address at which it is asked, and has no issuer.
func pin(pinned *x509.Certificate, path string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) > 0 && state.PeerCertificates[0].Equal(pinned) {
				return nil
			}
			return fmt.Errorf("%w than in %s", errOtherCertificate, path)
		},
	}
}
