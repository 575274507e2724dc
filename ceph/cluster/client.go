package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/rados"
)

// Runner runs a command of a mon or mgr. *rados.Conn is one.
type Runner interface {
	Run(ctx context.Context, cmd rados.Command) ([]byte, error)
}

var _ Runner = (*rados.Conn)(nil)

// Client asks a cluster. The large maps are asked for only when their epoch, which a small command tells, is
// another than last time: a map of one epoch never changes.
type Client struct {
	runner Runner

	mu   sync.Mutex
	osds OSDs
	mgrs Mgrs
	fss  FileSystems
}

// OSDs is the OSD map together with what else changes only when the map does. Its epoch is 0 when the map could
// not be read.
type OSDs struct {
	OSDMap
	Classes  map[int]string      // device classes; nil when they could not be read
	Metadata map[int]OSDMetadata // nil when it could not be read
}

// Mgrs is the mgr map together with what the mgrs have told of themselves. Its epoch is 0 when the map could not
// be read.
type Mgrs struct {
	MgrMap
	Metadata map[string]Metadata // nil when it could not be read
}

// FileSystems is the map of file systems together with what the MDSs have told of themselves. Its epoch is 0 when the
// map could not be read.
type FileSystems struct {
	FSMap
	Metadata map[string]Metadata // nil when it could not be read or there is no MDS
}

// NewClient returns a client that asks through r.
func NewClient(r Runner) *Client { return &Client{runner: r} }

// Health costs 1 command. Similar to: ceph health detail
func (c *Client) Health(ctx context.Context) (Health, error) {
	return ask(ctx, c.runner, rados.Health, ParseHealth)
}

// Mons costs 1 command. Similar to: ceph quorum_status
func (c *Client) Mons(ctx context.Context) ([]Mon, error) {
	return ask(ctx, c.runner, rados.QuorumStatus, ParseQuorum)
}

// MonMetadata costs 1 command. Similar to: ceph mon metadata
func (c *Client) MonMetadata(ctx context.Context) (map[string]Metadata, error) {
	return ask(ctx, c.runner, rados.MonMetadata, ParseMetadata)
}

// OSDs costs 1 command, and up to 3 more when the OSD map has changed. Beside an error it returns what it has read.
// Similar to: ceph osd dump; ceph osd tree; ceph osd metadata
func (c *Client) OSDs(ctx context.Context) (OSDs, error) {
	return latest(ctx, c, &c.osds, rados.OSDStat, c.readOSDs)
}

func (o OSDs) epoch() uint64 { return o.Epoch }

func (c *Client) readOSDs(ctx context.Context, known OSDs) (fresh OSDs, err error) {
	if fresh.OSDMap, err = ask(ctx, c.runner, rados.OSDDump, ParseOSDMap); err != nil {
		return OSDs{}, err
	}
	fresh.Classes, err = ask(ctx, c.runner, rados.OSDTree, ParseDeviceClasses)
	if fresh.Metadata = known.Metadata; started(known.OSDMap, fresh.OSDMap) {
		var metadataErr error
		fresh.Metadata, metadataErr = ask(ctx, c.runner, rados.OSDMetadata, ParseOSDMetadata)
		err = errors.Join(err, metadataErr)
	}
	return fresh, err
}

// started tells whether any OSD has come, gone or started anew between two maps, and with that its metadata.
func started(before, after OSDMap) bool {
	if len(before.OSDs) != len(after.OSDs) {
		return true
	}
	for i, o := range after.OSDs {
		if was := before.OSDs[i]; was.ID != o.ID || was.UpFrom != o.UpFrom || was.New != o.New {
			return true
		}
	}
	return before.Epoch == 0
}

// Mgrs costs 1 command, and 2 more when the mgr map has changed. Beside an error it returns what it has read.
// Similar to: ceph mgr dump; ceph mgr metadata
func (c *Client) Mgrs(ctx context.Context) (Mgrs, error) {
	return latest(ctx, c, &c.mgrs, rados.MgrStat, c.readMgrs)
}

func (m Mgrs) epoch() uint64 { return m.Epoch }

func (c *Client) readMgrs(ctx context.Context, _ Mgrs) (fresh Mgrs, err error) {
	if fresh.MgrMap, err = ask(ctx, c.runner, rados.MgrDump, ParseMgrMap); err != nil {
		return Mgrs{}, err
	}
	fresh.Metadata, err = ask(ctx, c.runner, rados.MgrMetadata, ParseMetadata)
	return fresh, err
}

// FileSystems costs 1 command, and 1 more when the map has changed and holds an MDS. Beside an error it returns what it
// has read. Similar to: ceph fs dump; ceph mds metadata
func (c *Client) FileSystems(ctx context.Context) (FileSystems, error) {
	c.mu.Lock()
	known := c.fss
	c.mu.Unlock()
	var fresh, keep FileSystems
	var err error
	fresh.FSMap, err = ask(ctx, c.runner, rados.FSDump, ParseFSMap)
	switch {
	case err != nil, len(fresh.MDSs) == 0:
	case fresh.Epoch == known.Epoch:
		fresh.Metadata = known.Metadata
	default:
		fresh.Metadata, err = ask(ctx, c.runner, rados.MDSMetadata, ParseMetadata)
	}
	if err == nil {
		keep = fresh // after an error, the next answer may be of another cluster
	}
	c.mu.Lock()
	c.fss = keep
	c.mu.Unlock()
	return fresh, err
}

// latest returns what is kept while stat tells the same epoch, and reads and keeps it anew otherwise. Beside an
// error it returns what was read and keeps nothing: the next answer may be of another cluster.
func latest[T interface{ epoch() uint64 }](
	ctx context.Context, c *Client, kept *T, stat rados.Command, read func(context.Context, T) (T, error),
) (T, error) {
	c.mu.Lock()
	known := *kept
	c.mu.Unlock()
	epoch, err := ask(ctx, c.runner, stat, ParseEpoch)
	if err == nil && known.epoch() == epoch {
		return known, nil
	}
	var fresh, keep T
	if err == nil {
		fresh, err = read(ctx, known)
	}
	if err == nil {
		keep = fresh
	}
	c.mu.Lock()
	*kept = keep
	c.mu.Unlock()
	return fresh, err
}

// DF costs 1 command. The mons repeat what a mgr told them last: without an active mgr it is of the past.
// Similar to: ceph df detail
func (c *Client) DF(ctx context.Context) (DF, error) {
	return ask(ctx, c.runner, rados.DF, ParseDF)
}

// PoolPGs costs 1 command of the mgr. Similar to: ceph pg dump pools
func (c *Client) PoolPGs(ctx context.Context) ([]PoolPGs, error) {
	return ask(ctx, c.runner, rados.PGDumpPools, ParsePoolPGs)
}

// PGStates counts the placement groups of each pool by state. While all are in one state, which pg stat tells, it
// costs 1 command of the mgr; else 2, the second about 6 µs of the mgr and 100 B for every placement group.
// Similar to: ceph pg stat; ceph pg dump pgs_brief
func (c *Client) PGStates(ctx context.Context, pools []PoolPGs) (map[int64]PGStates, error) {
	all, err := ask(ctx, c.runner, rados.PGStat, ParsePGStat)
	if err != nil {
		return nil, err
	}
	if len(all) > 1 {
		return ask(ctx, c.runner, rados.PGDumpBrief, ParsePGBrief)
	}
	states := make(map[int64]PGStates, len(pools))
	for state := range all {
		for _, p := range pools {
			states[p.PoolID] = PGStates{state: p.PGs}
		}
	}
	return states, nil
}

// OSDLatencies costs 1 command of the mgr. Similar to: ceph osd perf
func (c *Client) OSDLatencies(ctx context.Context) ([]OSDLatency, error) {
	return ask(ctx, c.runner, rados.OSDPerf, ParseOSDPerf)
}

// Recovery costs 1 command of the mgr. Similar to: ceph osd pool stats
func (c *Client) Recovery(ctx context.Context) ([]PoolRecovery, error) {
	return ask(ctx, c.runner, rados.OSDPoolStats, ParsePoolRecovery)
}

// Services costs 1 command of the mgr. Similar to: ceph service dump
func (c *Client) Services(ctx context.Context) ([]Service, error) {
	return ask(ctx, c.runner, rados.ServiceDump, ParseServices)
}

func ask[T any](ctx context.Context, r Runner, cmd rados.Command, parse func([]byte) (T, error)) (T, error) {
	data, err := r.Run(ctx, cmd)
	if err != nil {
		var zero T
		return zero, err
	}
	v, err := parse(data)
	if err != nil {
		return v, fmt.Errorf("read answer to %s: %w", cmd, err)
	}
	return v, nil
}
