package loopcheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/agent"
)

// cephTimeout is how long a command of Ceph's may take, nodeTimeout how long a node may beyond what it is to watch.
const (
	cephTimeout = 20 * time.Second
	nodeTimeout = 60 * time.Second
)

// Checker checks nodes.
type Checker struct {
	Env *control.Env
	// Host is this host, for when it is in no inventory.
	Host Host
	// Config is where Ceph's configuration is; /etc/ceph/ceph.conf when empty.
	Config string
}

// Nodes checks nodes, all at once, and returns a report for each, in their order. One that can't be reached has a report
// that says so.
func (c *Checker) Nodes(ctx context.Context, nodes []control.Node, q Query) []Report {
	return c.check(ctx, len(nodes), func(i int) (string, func() (Facts, error)) {
		return nodes[i].Name, func() (Facts, error) { return c.ask(ctx, nodes[i], q) }
	})
}

// Here checks this host.
func (c *Checker) Here(ctx context.Context, q Query) Report {
	return c.check(ctx, 1, func(int) (string, func() (Facts, error)) {
		return c.Host.Name, func() (Facts, error) { return c.Host.Observe(ctx, q) }
	})[0]
}

func (c *Checker) check(ctx context.Context, n int, node func(int) (string, func() (Facts, error))) []Report {
	reports := make([]Report, n)
	facts := make([]Facts, n)
	var jobs errgroup.Group
	jobs.SetLimit(max(1, c.Env.Parallel))
	for i := range n {
		jobs.Go(func() error {
			name, observe := node(i)
			reports[i] = Report{Node: name, OSDs: []loopback.OSD{}, Images: []Image{}}
			var err error
			if facts[i], err = observe(); err != nil {
				reports[i].Error = err.Error()
			}
			return nil
		})
	}
	_ = jobs.Wait() // none returns an error: each is in its report
	pools := poolCache{checker: c}
	for i := range reports {
		if reports[i].Error == "" {
			pools.add(ctx, &facts[i])
			reports[i] = judge(reports[i].Node, facts[i])
		}
	}
	return reports
}

func (c *Checker) ask(ctx context.Context, n control.Node, q Query) (f Facts, err error) {
	question := control.Question{Part: Name, Action: agent.ActionObserve, Payload: q, Timeout: nodeTimeout + q.Watch}
	err = c.Env.Ask(ctx, n, question, &f, nil)
	return f, err
}

// poolCache asks the cluster for its pools, once.
type poolCache struct {
	checker *Checker
	asked   bool
	pools   []loopback.Pool
	fsid    string
	err     error
}

// add puts in what only the cluster knows: the pools of the data where the node does not say, and the shares of the
// pools. Without it the judgement stands, but for rbd-nbd and images with a data pool.
func (p *poolCache) add(ctx context.Context, f *Facts) {
	if len(f.Mappings) == 0 {
		return
	}
	if !p.asked {
		p.pools, p.fsid, p.err = p.checker.pools(ctx)
		p.asked = true
	}
	if p.err != nil {
		f.miss(loopback.SourceShares, p.err)
		return
	}
	for i := range f.Mappings {
		if m := &f.Mappings[i]; m.PoolID == 0 {
			p.addPool(ctx, f, m)
		}
	}
	shares, err := p.checker.shares(ctx, p.pools, f.Node.OSDsOf(p.fsid))
	if err != nil {
		f.miss(loopback.SourceShares, err)
		return
	}
	f.Node.Shares, f.sharesOf = shares, p.fsid
}

// addPool puts in the pool that has an image's data.
func (p *poolCache) addPool(ctx context.Context, f *Facts, m *loopback.Mapping) {
	if !m.MayBeOf(p.fsid) {
		f.miss(loopback.SourceShares, fmt.Errorf("%s is an image of another cluster, %s: judge it by rbd info there", m.Device, m.FSID))
		return
	}
	info, err := p.checker.info(ctx, m)
	if err != nil {
		f.miss(loopback.SourceShares, err)
		return
	}
	var data uint64
	for _, pool := range p.pools {
		if pool.Name == info.DataPool {
			data = pool.ID
		}
	}
	if info.DataPool == "" || data != 0 {
		m.Place(data, slices.Contains(info.Features, "object-map"), p.pools)
	}
}

// imageInfo is what `rbd info` says of where an image has its data.
type imageInfo struct {
	DataPool string   `json:"data_pool"`
	Features []string `json:"features"`
}

func (c *Checker) info(ctx context.Context, m *loopback.Mapping) (info imageInfo, err error) {
	argv := []string{"rbd", "info", "--format", "json", "--pool", m.Pool, "--image", m.Image}
	if m.Namespace != "" {
		argv = append(argv, "--namespace", m.Namespace)
	}
	out, err := c.run(ctx, argv...)
	if err != nil {
		return info, err
	}
	if err := json.Unmarshal(out, &info); err != nil {
		return info, fmt.Errorf("read what rbd info says: %w", err)
	}
	return info, nil
}

func (c *Checker) pools(ctx context.Context) (pools []loopback.Pool, fsid string, err error) {
	config := c.Config
	if config == "" {
		config = "/etc/ceph/ceph.conf"
	}
	if _, err := os.Stat(config); errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("there is no %s on this host", config)
	}
	out, err := c.ceph(ctx, "osd", "dump")
	if err != nil {
		return nil, "", err
	}
	return loopback.ParsePools(out)
}

func (c *Checker) shares(ctx context.Context, pools []loopback.Pool, osds []int) (map[uint64]loopback.Share, error) {
	lists := make([]loopback.PGList, len(osds))
	for i, id := range osds {
		out, err := c.ceph(ctx, "pg", "ls-by-osd", "osd."+strconv.Itoa(id))
		if err != nil {
			return nil, err
		}
		if lists[i], err = loopback.ParsePGs(out); err != nil {
			return nil, err
		}
	}
	return loopback.Shares(pools, osds, lists), nil
}

// ceph runs a command that only reads.
func (c *Checker) ceph(ctx context.Context, args ...string) ([]byte, error) {
	return c.run(ctx, append(append([]string{"ceph", "--connect-timeout", "15"}, args...), "-f", "json")...)
}

func (c *Checker) run(ctx context.Context, argv ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cephTimeout, fmt.Errorf("the cluster has not answered within %s", cephTimeout))
	defer cancel()
	if c.Config != "" {
		argv = append(argv, "--conf", c.Config)
	}
	return c.Env.Runner.Run(ctx, nil, argv...)
}
