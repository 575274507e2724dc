package lab

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// sshKey is a pair of keys in the formats of OpenSSH's files.
type sshKey struct {
	Private []byte
	// Public is the type and the key, without a comment or the end of the line.
	Public string
}

func newSSHKey() (*sshKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make ssh key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, fmt.Errorf("make ssh key: %w", err)
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("make ssh key: %w", err)
	}
	line := ssh.MarshalAuthorizedKey(sshPublic)
	return &sshKey{Private: pem.EncodeToMemory(block), Public: string(line[:len(line)-1])}, nil
}
