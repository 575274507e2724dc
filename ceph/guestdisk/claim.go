package guestdisk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// A claim is a lock of class "lock" on the header of the image, under a name of its own. The OSD gives it to one alone, and
// keeps it until it is taken away: the lock of the feature exclusive-lock, and with it "rbd lock", is another, which
// librbd hands over on request, and which nobody else may hold while a guest writes.
const lockName = "cephctl"

// clientsKey is where the addresses of the clients of the claim's holder are kept, in the image's metadata.
const clientsKey = "cephctl.clients"

// blocklistSeconds is for how long a client is kept out: longer than a machine that lives on unseen.
const blocklistSeconds = "2592000"

// ErrClaimed is in the error when somebody else has the claim.
var ErrClaimed = errors.New("is claimed")

// Claim is who may write to an image.
type Claim struct {
	// Token tells one claim from all others.
	Token string
	// Description is what the holder says of itself, in its own words.
	Description json.RawMessage
	// locker is the name that the OSD has for the holder.
	locker string
}

// ClaimCommand is the command that claims an image, for people: what is to be filled in is known later.
func ClaimCommand(d ceph.Device) []string {
	return rados(d, "lock", "get", "rbd_header.ID", lockName, "--lock-type", "exclusive")
}

// Claim makes the caller the one who may write to an image. It returns an error that wraps ErrClaimed when somebody else
// is. Of two at the same time one wins, as the OSD decides it.
func (h *Host) Claim(ctx context.Context, d ceph.Device, c Claim) error {
	image, err := h.Image(ctx, d)
	if err != nil {
		return err
	}
	_, err = h.run(ctx, d, rados(d, "lock", "get", image.header, lockName,
		"--lock-cookie", c.Token, "--lock-description", string(c.Description), "--lock-type", "exclusive"))
	var failed *Error
	if errors.As(err, &failed) && strings.Contains(failed.Text, "(16) Device or resource busy") {
		return fmt.Errorf("image %s %w", d.Image, ErrClaimed)
	}
	if err != nil {
		return fmt.Errorf("claim image %s: %w", d.Image, err)
	}
	// Those of an earlier holder would be kept out in place of ours.
	if err := h.setClients(ctx, d, nil); err != nil {
		return errors.Join(err, h.Release(context.WithoutCancel(ctx), d, c.Token))
	}
	return nil
}

// Holder returns the claim on an image, or nil when there is none.
func (h *Host) Holder(ctx context.Context, d ceph.Device, image Image) (*Claim, error) {
	lock, err := ask[struct {
		Lockers []struct {
			Name        string `json:"name"`
			Cookie      string `json:"cookie"`
			Description string `json:"description"`
		} `json:"lockers"`
	}](ctx, h, d, rados(d, "--format", "json", "lock", "info", image.header, lockName))
	if err != nil {
		return nil, fmt.Errorf("ask who has claimed image %s: %w", d.Image, err)
	}
	if len(lock.Lockers) == 0 {
		return nil, nil
	}
	l := lock.Lockers[0]
	claim := &Claim{Token: l.Cookie, locker: l.Name}
	if json.Valid([]byte(l.Description)) {
		claim.Description = json.RawMessage(l.Description)
	}
	return claim, nil
}

// Release takes the claim with a token away. Any other claim stays.
func (h *Host) Release(ctx context.Context, d ceph.Device, token string) error {
	image, err := h.Image(ctx, d)
	if err != nil {
		return err
	}
	claim, err := h.Holder(ctx, d, image)
	if err != nil || claim == nil || claim.Token != token {
		return err
	}
	// Who was faster has taken away this very claim: a later one has another token.
	_, err = h.run(ctx, d, rados(d, "lock", "break", image.header, lockName, claim.locker, "--lock-cookie", token))
	if err != nil && !strings.Contains(err.Error(), "(2) No such file or directory") {
		return fmt.Errorf("release image %s: %w", d.Image, err)
	}
	return nil
}

// AddClients remembers the addresses of more clients that write for the claim's holder.
func (h *Host) AddClients(ctx context.Context, d ceph.Device, addresses ...string) error {
	known, err := h.knownClients(ctx, d)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if !slices.Contains(known, a) {
			known = append(known, a)
		}
	}
	return h.setClients(ctx, d, known)
}

// knownClients returns the addresses that are remembered.
func (h *Host) knownClients(ctx context.Context, d ceph.Device) ([]string, error) {
	meta, err := ask[map[string]string](ctx, h, d, RBD(d, "image-meta", "list", "--format", "json", d.Image.String()))
	if err != nil {
		return nil, fmt.Errorf("ask for the clients of image %s: %w", d.Image, err)
	}
	return strings.Fields(meta[clientsKey]), nil
}

func (h *Host) setClients(ctx context.Context, d ceph.Device, addresses []string) error {
	change := []string{"image-meta", "set", d.Image.String(), clientsKey, strings.Join(addresses, " ")}
	if len(addresses) == 0 {
		change = []string{"image-meta", "remove", d.Image.String(), clientsKey}
	}
	_, err := h.run(ctx, d, RBD(d, change...))
	if err != nil && len(addresses) == 0 && strings.Contains(err.Error(), "(2) No such file or directory") {
		return nil // there were none
	}
	if err != nil {
		return fmt.Errorf("remember the clients of image %s: %w", d.Image, err)
	}
	return nil
}

// Clients returns the addresses of the clients that may write for the claim's holder: those that were remembered. Where none
// was, as its start was killed before, it is who has the lock of the feature exclusive-lock; else that may be a stranger.
func (h *Host) Clients(ctx context.Context, d ceph.Device) ([]string, error) {
	addresses, err := h.knownClients(ctx, d)
	if err != nil || len(addresses) > 0 {
		return addresses, err
	}
	locks, err := ask[[]struct {
		Address string `json:"address"`
	}](ctx, h, d, RBD(d, "lock", "list", "--format", "json", d.Image.String()))
	if err != nil {
		return nil, fmt.Errorf("ask for the lock of image %s: %w", d.Image, err)
	}
	for _, l := range locks {
		addresses = append(addresses, l.Address)
	}
	return addresses, nil
}

// Blocklist keeps clients out of the cluster: nothing that they still have under way is written any more.
func (h *Host) Blocklist(ctx context.Context, d ceph.Device, addresses ...string) error {
	for _, address := range addresses {
		if _, err := h.run(ctx, d, tool(d, "ceph", []string{"osd", "blocklist", "add", address, blocklistSeconds})); err != nil {
			return fmt.Errorf("blocklist client %s: %w", address, err)
		}
	}
	return nil
}
