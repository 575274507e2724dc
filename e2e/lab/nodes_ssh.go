package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// sshKey is a pair of keys in the formats of OpenSSH's files.
type sshKey struct {
	Private []byte
	// Public is the type and the key, without a comment or the end of the line.
	Public string
}

// newSSHKey has ssh-keygen make a pair: a library for it would be compiled into the demo.
func newSSHKey(ctx context.Context) (*sshKey, error) {
	folder, err := os.MkdirTemp("", "lab-key-")
	if err != nil {
		return nil, fmt.Errorf("make ssh key: %w", err)
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "key")
	keygen := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path)
	if out, err := keygen.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make ssh key: %w: %s", err, out)
	}
	private, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("make ssh key: %w", err)
	}
	public, err := os.ReadFile(path + ".pub")
	if err != nil {
		return nil, fmt.Errorf("make ssh key: %w", err)
	}
	return &sshKey{Private: private, Public: strings.TrimSpace(string(public))}, nil
}
