package node

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// signatures says what kinds of content wipefs sees on a device.
func (h *Host) signatures(ctx context.Context, device string) ([]string, error) {
	answer, err := h.run(ctx, "wipefs", "--no-act", "--json", device)
	if err != nil {
		return nil, err
	}
	return parseSignatures(answer)
}

// parseSignatures reads `wipefs --no-act --json`, which prints nothing at all when there is nothing.
func parseSignatures(answer []byte) ([]string, error) {
	if strings.TrimSpace(string(answer)) == "" {
		return nil, nil
	}
	var report struct {
		Signatures []struct {
			Type string `json:"type"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(answer, &report); err != nil {
		return nil, fmt.Errorf("read answer of wipefs: %w", err)
	}
	var found []string
	seen := make(map[string]bool)
	for _, s := range report.Signatures {
		if !seen[s.Type] {
			seen[s.Type] = true
			found = append(found, describeSignature(s.Type))
		}
	}
	return found, nil
}

func describeSignature(kind string) string {
	switch kind {
	case "gpt", "dos", "PMBR", "mac", "sun", "bsd", "atari":
		return kind + " partition table"
	case lvmMember:
		return "LVM physical volume"
	case "swap":
		return "swap space"
	case "ceph_bluestore":
		return "BlueStore label"
	}
	if strings.HasSuffix(kind, "_member") || strings.HasPrefix(kind, "crypto_") {
		return kind
	}
	return kind + " file system"
}

// lvmMember is the signature of an LVM physical volume.
const lvmMember = "LVM2_member"
