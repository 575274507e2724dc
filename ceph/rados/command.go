package rados

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	goceph "github.com/ceph/go-ceph/rados"
)

// Server is who answers a command.
type Server string

// A mon answers while the mons have quorum, the mgr while one is active.
const (
	Mon Server = "mon"
	Mgr Server = "mgr"
)

// A Command is one of the commands below: read-only, and allowed by the caps mon 'allow r' mgr 'allow r'. There is
// no way to make another, so this list is all that this project's exporter can ask a cluster.
type Command struct {
	server  Server
	prefix  string
	request string
}

// Server returns who answers the command.
func (c Command) Server() Server { return c.server }

// String returns the command as an administrator types it after "ceph", without its arguments.
func (c Command) String() string { return c.prefix }

// The allow-list. "pg dump" as a whole is left out on purpose: it costs the mgr seconds in a large cluster.
var (
	// Health gives the state of the cluster with the details of every check. Similar to: ceph health detail
	Health = command(Mon, "health", "detail", "detail")
	// QuorumStatus gives the mons and who of them is in quorum.
	QuorumStatus = command(Mon, "quorum_status")
	// MonMetadata gives host and version of every mon.
	MonMetadata = command(Mon, "mon metadata")
	// OSDStat gives the epoch of the OSD map, in a hundred bytes.
	OSDStat = command(Mon, "osd stat")
	// OSDDump gives the OSD map: OSDs, pools, flags. About 1 kB an OSD and 1 kB a pool.
	OSDDump = command(Mon, "osd dump")
	// PoolApplications says what each pool is used for. About 50 B a pool.
	PoolApplications = command(Mon, "osd pool application get")
	// OSDTree gives the CRUSH tree with the device classes of the OSDs.
	OSDTree = command(Mon, "osd tree")
	// OSDMetadata gives host, version and devices of every OSD. About 2 kB an OSD.
	OSDMetadata = command(Mon, "osd metadata")
	// MgrStat gives the epoch of the mgr map, in a hundred bytes.
	MgrStat = command(Mon, "mgr stat")
	// MgrDump gives the mgr map: mgrs and modules. About 50 kB.
	MgrDump = command(Mon, "mgr dump")
	// MgrMetadata gives host and version of every mgr.
	MgrMetadata = command(Mon, "mgr metadata")
	// FSDump gives the file systems and their MDSs: 0.5 kB without any, 2 kB a file system and 1 kB an MDS.
	FSDump = command(Mon, "fs dump")
	// MDSMetadata gives host and version of every MDS. About 0.6 kB an MDS.
	MDSMetadata = command(Mon, "mds metadata")
	// DF gives usage by cluster, device class and pool. The mons answer it from what a mgr told them last.
	// Similar to: ceph df detail
	DF = command(Mon, "df", "detail", "detail")
	// PGStat counts the placement groups by state, in a few hundred bytes.
	PGStat = command(Mgr, "pg stat")
	// PGDumpPools gives the statistics by pool. About 1 kB a pool.
	PGDumpPools = command(Mgr, "pg dump", "dumpcontents", []string{"pools"})
	// PGDumpBrief gives the state of every placement group: about 100 B and 6 µs of the mgr for each.
	PGDumpBrief = command(Mgr, "pg dump", "dumpcontents", []string{"pgs_brief"})
	// OSDPerf gives the commit and apply latency of every OSD.
	OSDPerf = command(Mgr, "osd perf")
	// OSDPoolStats gives recovery and client I/O rates by pool.
	OSDPoolStats = command(Mgr, "osd pool stats")
	// ServiceDump gives what the mgr was told by daemons that no map holds: RGW, rbd-mirror and others. A hundred
	// bytes without any, about 1 kB a daemon.
	ServiceDump = command(Mgr, "service dump")
)

// RBDPerfImageCounters gives the I/O counters of up to 64 images of a pool. An empty poolSpec means all pools.
// The first call installs queries in the OSDs, takes seconds, and has no counters yet.
//
// Similar to: rbd perf image counters <poolSpec>
func RBDPerfImageCounters(poolSpec string) Command {
	return command(Mgr, "rbd perf image counters", "pool_spec", poolSpec)
}

// PGsByOSD lists the placement groups that have a copy on an OSD: about 3 kB for each of them, which are some hundred
// however large the cluster is.
//
// Similar to: ceph pg ls-by-osd osd.<id>
func PGsByOSD(id int) Command {
	return command(Mgr, "pg ls-by-osd", "osd", id) // a number: the mgr refuses what the command line takes
}

// Commands returns the whole allow-list.
func Commands() []Command {
	return []Command{
		Health, QuorumStatus, MonMetadata, OSDStat, OSDDump, PoolApplications, OSDTree, OSDMetadata, MgrStat, MgrDump, MgrMetadata,
		FSDump, MDSMetadata, DF,
		PGStat, PGDumpPools, PGDumpBrief, OSDPerf, OSDPoolStats, ServiceDump, RBDPerfImageCounters(""),
		PGsByOSD(0),
	}
}

// command makes an entry of the list; args are names and values in turn.
func command(server Server, prefix string, args ...any) Command {
	request := map[string]any{"prefix": prefix, "format": "json"}
	for i := 0; i < len(args); i += 2 {
		request[args[i].(string)] = args[i+1]
	}
	text, err := json.Marshal(request)
	if err != nil {
		panic(err) // only strings and numbers are in it
	}
	return Command{server: server, prefix: prefix, request: string(text)}
}

// Run runs a command and returns its JSON answer. ErrNoAnswer is in the error when nobody has answered it by ctx's
// deadline, and as long as that goes on.
//
// Similar to: ceph <command> -f json
func (c *Conn) Run(ctx context.Context, cmd Command) ([]byte, error) {
	answer, err := Call(ctx, c, cmd.lane(), func(conn *goceph.Conn) ([]byte, error) {
		answer, status, err := cmd.send(conn)
		if err != nil && status != "" {
			err = fmt.Errorf("%s: %w", status, err)
		}
		return answer, err
	})
	if errors.Is(err, ErrHung) || errors.Is(err, errLate) {
		return nil, fmt.Errorf("%s: %w: %s", cmd.lane(), ErrNoAnswer, cmd.server.hint())
	}
	return answer, err
}

func (s Server) hint() string {
	if s == Mon {
		return "check that the mons have quorum"
	}
	return "check that a mgr is active"
}

func (c Command) send(conn *goceph.Conn) (answer []byte, status string, err error) {
	if c.server == Mon {
		return conn.MonCommand([]byte(c.request))
	}
	return conn.MgrCommand([][]byte{[]byte(c.request)})
}

func (c Command) lane() string { return string(c.server) + " command " + c.prefix }
