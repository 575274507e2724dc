package node

import (
	"cmp"
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
	lines := []string{fmt.Sprintf("wait until %s %s: ceph daemon %s %s", a.daemon, until, a.daemon, a.question())}
	if a.daemon.Role == RoleMon {
		lines = append(lines, "if it goes on probing: "+quote(a.backoff("set", shortBackoff))+", and then "+
			quote(a.backoff("unset")))
	}
	return lines
}

// shortBackoff is how many seconds a mon that is not let in waits between its attempts, instead of up to 15.
const shortBackoff = "0.2"

// patience is how many looks a mon may be probing before its attempts are to come faster.
const patience = 10

// backoff is the command that changes how long a mon waits between attempts to reach another one. A mon that has
// been out of the map for a while needs many: the others keep the end of its last connection and turn away what has
// a lower number than that one had (msgr2's global sequence), and each attempt raises the number a little.
func (a await) backoff(argv ...string) []string {
	name := "ms_max_backoff"
	return append([]string{"ceph", "daemon", a.daemon.String(), "config", argv[0], name}, argv[1:]...)
}

func (a await) do(ctx context.Context, h *Host) error {
	limit := cmp.Or(h.upWithin, defaultUpWithin)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it does not do its work after %s", limit))
	defer cancel()
	for probed := 0; ; {
		unready := a.ready(ctx, h)
		if unready == nil {
			if probed >= patience {
				return command{argv: a.backoff("unset"), mayFail: true}.do(ctx, h)
			}
			return nil
		}
		if errors.Is(unready, errProbing) {
			if probed++; probed == patience {
				_ = command{argv: a.backoff("set", shortBackoff), mayFail: true}.do(ctx, h)
			}
		}
		if errors.Is(unready, errForeign) {
			return unready
		}
		if err := h.checkUnit(ctx, a.daemon.unit()); errors.Is(err, errUnitFailed) {
			return h.withJournal(ctx, a.daemon.unit(), err)
		}
		if err := h.sleep(ctx); err != nil {
			return h.withJournal(ctx, a.daemon.unit(), fmt.Errorf("wait for %s: %w (last: %w)", a.daemon, context.Cause(ctx), unready))
		}
	}
}

var (
	errForeign = errors.New("is of another cluster")
	errProbing = errors.New("is looking for the other mons (probing)")
)

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
	case status.State == "probing":
		return fmt.Errorf("%s %w", a.daemon, errProbing)
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
