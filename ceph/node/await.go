package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
)

// await waits until a daemon does its work.
type await struct {
	daemon Daemon
	socket string
	// fsid is the cluster that it must say it is of, where it says so.
	fsid string
}

// question is what a daemon can answer when it does its work, and not before.
func (a await) question() adminsocket.Command {
	switch a.daemon.Role {
	case RoleMon:
		return adminsocket.MonStatus
	case RoleOSD:
		// An OSD knows this command when it has read its data and the mons have let it in.
		return adminsocket.MappedPools
	}
	return adminsocket.Version
}

func (a await) lines() []string {
	until := "answers"
	if a.daemon.Role == RoleMon {
		until = "is in the quorum"
	}
	return []string{fmt.Sprintf("wait until %s %s: ceph daemon %s %s", a.daemon, until, a.daemon, a.question())}
}

func (a await) do(ctx context.Context, h *Host) error {
	for {
		unready := a.ready(ctx, h)
		if unready == nil {
			return nil
		}
		if errors.Is(unready, errForeign) {
			return unready
		}
		if err := h.checkUnit(ctx, a.daemon.unit()); errors.Is(err, errUnitFailed) {
			return h.withJournal(ctx, a.daemon.unit(), err)
		}
		if err := h.sleep(ctx); err != nil {
			return h.withJournal(ctx, a.daemon.unit(), fmt.Errorf("wait for %s: %w (last: %w)", a.daemon, err, unready))
		}
	}
}

var errForeign = errors.New("is of another cluster")

func (a await) ready(ctx context.Context, h *Host) error {
	answer, err := h.ask(ctx, a.socket, a.question())
	if err != nil || a.daemon.Role != RoleMon {
		return err
	}
	status, err := parseMonStatus(answer)
	switch {
	case err != nil:
		return err
	case a.fsid != "" && !sameID(status.Monmap.FSID, a.fsid):
		return fmt.Errorf("%s %w: %s, not %s", a.daemon, errForeign, status.Monmap.FSID, a.fsid)
	case status.State != "leader" && status.State != "peon":
		return fmt.Errorf("%s is %s", a.daemon, status.State)
	}
	return nil
}

type monStatus struct {
	State  string `json:"state"`
	Monmap struct {
		FSID string `json:"fsid"`
	} `json:"monmap"`
}

func parseMonStatus(answer []byte) (monStatus, error) {
	var status monStatus
	if err := json.Unmarshal(answer, &status); err != nil {
		return monStatus{}, fmt.Errorf("read mon_status: %w", err)
	}
	return status, nil
}
