package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// cliTimeout bounds every call of Ceph's command line tools. They wait while the mons elect or the machine is busy.
const cliTimeout = 2 * time.Minute

// CephOptions says what StartCeph starts. The zero value is one mon, one mgr and three OSDs.
type CephOptions struct {
	Mons, OSDs int
	// Config is added to the [global] section of ceph.conf, for example "osd heartbeat grace = 5".
	Config string
	// Progress, when set, is told what is being done.
	Progress func(step string)
}

// Ceph is a running cluster: mons "a", "b", …, mgr "x" and OSDs from 0, each with its admin socket
// RunDir/ceph-<type>.<id>.asok.
type Ceph struct {
	// Dir is the folder that holds everything; it is removed by Stop.
	Dir string
	// Conf is the cluster's ceph.conf. Clients that use it have no admin socket.
	Conf string
	// GuestConf is Conf, but gives its clients the admin socket RunDir/ceph-client.<id>.<pid>.<cctid>.asok.
	GuestConf string
	// RunDir is the folder of the admin sockets.
	RunDir string
	// GanetiRunDir stands for Ganeti's /var/run/ganeti: the guests' sockets and files are there.
	GanetiRunDir string
	// AdminKeyring holds the keys of client.admin and of the daemons.
	AdminKeyring string
	// GuestKeyring holds the key of client.guest, which may read and write the images of all pools.
	GuestKeyring string
	// FSID is the id of the cluster.
	FSID string

	group    *group
	options  CephOptions
	mons     []string
	monAddrs []string
	osdUUIDs []string
	// moduleDir is where the mgr looks for its modules, "" for where they are installed.
	moduleDir string

	mu      sync.Mutex
	daemons map[string]*process
}

// StartCeph starts a cluster and returns when its daemons are up and it has an active mgr.
func StartCeph(ctx context.Context, options CephOptions) (*Ceph, error) {
	group, err := newGroup()
	if err != nil {
		return nil, fmt.Errorf("start ceph: %w", err)
	}
	c := newCeph(group, options)
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start ceph: %w", err), c.Stop())
	}
	return c, nil
}

func newCeph(group *group, options CephOptions) *Ceph {
	if options.Mons == 0 {
		options.Mons = 1
	}
	if options.OSDs == 0 {
		options.OSDs = 3
	}
	if options.Progress == nil {
		options.Progress = func(string) {}
	}
	return &Ceph{
		Dir:          group.Dir,
		Conf:         group.path("ceph.conf"),
		GuestConf:    group.path("guest.conf"),
		RunDir:       group.path("run"),
		GanetiRunDir: group.path("ganeti"),
		AdminKeyring: group.path("keyring"),
		GuestKeyring: group.path("guest.keyring"),
		FSID:         newUUID(),
		group:        group,
		options:      options,
		daemons:      map[string]*process{},
	}
}

// Stop kills all daemons and guests, and removes the folder.
func (c *Ceph) Stop() error {
	if err := c.group.close(); err != nil {
		return fmt.Errorf("stop ceph: %w", err)
	}
	return nil
}

// Ceph runs the command `ceph` as client.admin and returns what it prints on standard output.
func (c *Ceph) Ceph(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cliTimeout)
	defer cancel()
	return c.group.run(ctx, "ceph", append([]string{"--conf", c.Conf}, args...)...)
}

// RBD runs the command `rbd` as client.admin and returns what it prints on standard output.
func (c *Ceph) RBD(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cliTimeout)
	defer cancel()
	return c.group.run(ctx, "rbd", append([]string{"--conf", c.Conf}, args...)...)
}

// Rados runs the command `rados` as client.admin and returns what it prints on standard output.
func (c *Ceph) Rados(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, cliTimeout)
	defer cancel()
	return c.group.run(ctx, "rados", append([]string{"--conf", c.Conf}, args...)...)
}

// CreatePool makes a pool for RBD images.
func (c *Ceph) CreatePool(ctx context.Context, pool string) error {
	if _, err := c.Ceph(ctx, "osd", "pool", "create", pool); err != nil {
		return fmt.Errorf("create pool %s: %w", pool, err)
	}
	if _, err := c.RBD(ctx, "pool", "init", pool); err != nil {
		return fmt.Errorf("create pool %s: %w", pool, err)
	}
	return nil
}

// DeletePool deletes a pool with all that is in it.
func (c *Ceph) DeletePool(ctx context.Context, pool string) error {
	if _, err := c.Ceph(ctx, "osd", "pool", "delete", pool, pool, "--yes-i-really-really-mean-it"); err != nil {
		return fmt.Errorf("delete pool %s: %w", pool, err)
	}
	return nil
}

// CreateImage makes an empty image of size MiB.
func (c *Ceph) CreateImage(ctx context.Context, pool, image string, size int) error {
	if _, err := c.RBD(ctx, "create", "--size", fmt.Sprintf("%dM", size), pool+"/"+image); err != nil {
		return fmt.Errorf("create image %s/%s: %w", pool, image, err)
	}
	return nil
}

// CreateExporterKey makes client.ceph-ganeti-exporter with the caps that the documentation names and returns the
// path of its keyring.
func (c *Ceph) CreateExporterKey(ctx context.Context) (keyring string, err error) {
	const entity = "client.ceph-ganeti-exporter"
	out, err := c.Ceph(ctx, "auth", "get-or-create", entity,
		"mon", "allow r", "mgr", "allow r", "osd", "profile rbd-read-only")
	if err != nil {
		return "", fmt.Errorf("create key of %s: %w", entity, err)
	}
	keyring = c.group.path("exporter.keyring")
	if err := os.WriteFile(keyring, out, 0o600); err != nil {
		return "", fmt.Errorf("create key of %s: %w", entity, err)
	}
	return keyring, nil
}

// WaitHealthy returns when all mons are in the quorum, a mgr is active, every OSD that the lab runs is up, and all
// PGs are active and clean.
func (c *Ceph) WaitHealthy(ctx context.Context) error {
	last := ""
	err := waitFor(ctx, "a healthy cluster", slowPoll, func() (bool, error) {
		if err := c.alive(); err != nil {
			return false, err
		}
		last = c.lack(ctx)
		return last == "", nil
	})
	if err != nil && last != "" {
		return fmt.Errorf("%w (%s)", err, last)
	}
	return err
}

// lack says what the cluster lacks, or nothing. That may be a quorum which says so.
func (c *Ceph) lack(ctx context.Context) string {
	out, err := c.Ceph(ctx, "status", "--format=json")
	var status cephStatus
	if err == nil {
		err = json.Unmarshal(out, &status)
	}
	if err != nil {
		return err.Error()
	}
	return status.lack(c.options.Mons, c.running("osd."))
}

// cephStatus is what WaitHealthy needs of `ceph status -f json`.
type cephStatus struct {
	QuorumNames []string `json:"quorum_names"`
	Mgrmap      struct {
		Available bool `json:"available"`
	} `json:"mgrmap"`
	Osdmap struct {
		NumUpOsds int `json:"num_up_osds"`
	} `json:"osdmap"`
	Pgmap struct {
		NumPgs     int `json:"num_pgs"`
		PgsByState []struct {
			StateName string `json:"state_name"`
			Count     int    `json:"count"`
		} `json:"pgs_by_state"`
	} `json:"pgmap"`
}

// lack says what the cluster lacks, or nothing.
func (s *cephStatus) lack(mons, osds int) string {
	clean := 0
	for _, pgs := range s.Pgmap.PgsByState {
		if pgs.StateName == "active+clean" {
			clean += pgs.Count
		}
	}
	switch {
	case len(s.QuorumNames) < mons:
		return fmt.Sprintf("%d of %d mons in quorum", len(s.QuorumNames), mons)
	case !s.Mgrmap.Available:
		return "no active mgr"
	case s.Osdmap.NumUpOsds < osds:
		return fmt.Sprintf("%d of %d OSDs up", s.Osdmap.NumUpOsds, osds)
	case clean < s.Pgmap.NumPgs:
		return fmt.Sprintf("%d of %d PGs active+clean", clean, s.Pgmap.NumPgs)
	}
	return ""
}

// StartDaemon starts "mon.a", "mgr.x" or "osd.1" again after it was stopped or killed. It does not wait until the
// cluster knows of it: see WaitHealthy.
func (c *Ceph) StartDaemon(name string) error {
	kind, id, _ := strings.Cut(name, ".")
	program, args, err := c.daemonCommand(kind, id)
	if err != nil {
		return err
	}
	p, err := c.group.start(name, program, args...)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.daemons[name] = p
	return nil
}

// StopDaemon ends "mon.a", "mgr.x" or "osd.1" in order and returns when its process is gone.
func (c *Ceph) StopDaemon(name string) error {
	p, err := c.forget(name)
	if err != nil {
		return err
	}
	return p.terminate()
}

// KillDaemon kills "mon.a", "mgr.x" or "osd.1" and returns when its process is gone.
func (c *Ceph) KillDaemon(name string) error {
	p, err := c.forget(name)
	if err != nil {
		return err
	}
	return p.kill()
}

// forget takes a daemon out of those that run and returns its process.
func (c *Ceph) forget(name string) (*process, error) {
	p, err := c.daemon(name)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.daemons, name)
	return p, nil
}

// Signal sends a signal such as SIGSTOP or SIGCONT to "mon.a", "mgr.x" or "osd.1".
func (c *Ceph) Signal(name string, sig syscall.Signal) error {
	p, err := c.daemon(name)
	if err != nil {
		return err
	}
	return p.signal(sig)
}

// Pid returns the process id of "mon.a", "mgr.x" or "osd.1", or 0 when it does not run.
func (c *Ceph) Pid(name string) int {
	p, err := c.daemon(name)
	if err != nil {
		return 0
	}
	return p.Pid
}

// AdminSocket returns the path of the admin socket of "mon.a", "mgr.x" or "osd.1".
func (c *Ceph) AdminSocket(name string) string {
	return c.group.path("run", "ceph-"+name+".asok")
}

func (c *Ceph) daemon(name string) (*process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.daemons[name]
	if !ok {
		return nil, fmt.Errorf("%s does not run", name)
	}
	return p, nil
}

// running counts the daemons with this prefix.
func (c *Ceph) running(prefix string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for name := range c.daemons {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

// alive returns an error when a daemon has ended by itself.
func (c *Ceph) alive() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.daemons {
		if err := p.alive(); err != nil {
			return err
		}
	}
	return nil
}
