package cluster

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Health is the state of the cluster as its mons see it.
type Health struct {
	// Status is HEALTH_OK, HEALTH_WARN or HEALTH_ERR.
	Status string
	// Checks are the checks that have found something, by name, for example OSD_DOWN. Muted ones are among them.
	Checks map[string]Check
}

// Check is one health check that has found something.
type Check struct {
	Severity string // HEALTH_WARN or HEALTH_ERR
	Summary  string
	Details  []string
}

// ParseHealth reads the answer to rados.Health.
func ParseHealth(data []byte) (Health, error) {
	var answer struct {
		Status string `json:"status"`
		Checks map[string]struct {
			Severity string `json:"severity"`
			Summary  struct {
				Message string `json:"message"`
			} `json:"summary"`
			Detail []struct {
				Message string `json:"message"`
			} `json:"detail"`
		} `json:"checks"`
	}
	if err := decode(data, &answer); err != nil {
		return Health{}, err
	}
	if !strings.HasPrefix(answer.Status, "HEALTH_") {
		return Health{}, fmt.Errorf("unknown status %q", answer.Status)
	}
	h := Health{Status: answer.Status, Checks: make(map[string]Check, len(answer.Checks))}
	for name, c := range answer.Checks {
		check := Check{Severity: c.Severity, Summary: c.Summary.Message}
		for _, d := range c.Detail {
			check.Details = append(check.Details, d.Message)
		}
		h.Checks[name] = check
	}
	return h, nil
}

// DaemonCount is what a check on many daemons says: how many of something they have together, and who has any.
type DaemonCount struct {
	Total   uint64
	Daemons []string // for example osd.3
	// More is set when there are daemons that the check does not name.
	More bool
}

// Of returns the count of one daemon. Ceph tells only the total: where several share it, 1 stands for at least
// one. ok is false when nothing is known of the daemon.
func (c DaemonCount) Of(daemon string) (count uint64, ok bool) {
	switch {
	case !slices.Contains(c.Daemons, daemon):
		return 0, !c.More
	case len(c.Daemons) == 1 && !c.More:
		return c.Total, true
	}
	return 1, true
}

// SlowOps counts the operations that daemons have been working on for too long. The summary reads "42 slow ops,
// oldest one blocked for 12 sec, daemons [osd.0,mon.a] have slow ops." and ends a longer list in "...".
func (h Health) SlowOps() (DaemonCount, error) {
	check, active := h.Checks["SLOW_OPS"]
	if !active {
		return DaemonCount{}, nil
	}
	return parseDaemonCount(check.Summary, check.Summary)
}

// PendingPGs counts the placement groups whose creation is pending in OSDs.
func (h Health) PendingPGs() (DaemonCount, error) {
	check, active := h.Checks["PENDING_CREATING_PGS"]
	if !active {
		return DaemonCount{}, nil
	}
	return parseDaemonCount(check.Summary, strings.Join(check.Details, " "))
}

// parseDaemonCount takes the total from the first word of one text and the daemons from another.
func parseDaemonCount(summary, list string) (DaemonCount, error) {
	first, _, _ := strings.Cut(summary, " ")
	total, err := strconv.ParseUint(first, 10, 64)
	if err != nil {
		return DaemonCount{}, fmt.Errorf("no count in %q", summary)
	}
	c := DaemonCount{Total: total, More: strings.Contains(list, "...")}
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(" ,[]", r) }) {
		kind, id, ok := strings.Cut(strings.TrimRight(word, "."), ".")
		if ok && id != "" && (kind == "osd" || kind == "mon" || kind == "mgr" || kind == "mds") {
			c.Daemons = append(c.Daemons, kind+"."+id)
		}
	}
	if len(c.Daemons) == 0 {
		c.More = true
	}
	return c, nil
}
