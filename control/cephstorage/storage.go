// Package cephstorage is the storage type ceph: it plans what the nodes of the storage group are to run, and how a node
// comes and goes without harm to the data.
package cephstorage

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// Name is the name of the storage type.
const Name = "ceph"

// How long things may take. A node or a mon that takes longer is broken, and what goes on inside may be hung.
const (
	observeTimeout = time.Minute
	cliTimeout     = 30 * time.Second
	nodeTimeout    = 15 * time.Minute
	quorumTimeout  = 2 * time.Minute
)

// Names of the keys that cephctl makes besides those of daemons, and of the rule for clusters with too few hosts.
const (
	adminEntity    = "client.admin"
	exporterEntity = "client.ceph-ganeti-exporter"
	instanceEntity = "client.instances"
	hostRule       = "replicated_rule"
	osdRule        = "cephctl-osd"
)

// Where Ceph's files are.
const (
	etcCeph        = "/etc/ceph"
	defaultConfig  = "/etc/ceph/ceph.conf"
	adminKeyring   = "ceph.client.admin.keyring"
	defaultKeyring = etcCeph + "/" + adminKeyring
)

// Storage plans and changes the Ceph cluster of the storage group.
type Storage struct {
	// Root is where the files of this host are; empty but in tests.
	Root string
	// Poll is how long is waited before what is waited for is looked at again, Settle how long daemons may take to
	// come up.
	Poll, Settle time.Duration

	env *control.Env

	// clientKeyrings are those of clients by entity, each asked for once: a command writes the same to many nodes.
	clientKeyringsMu sync.Mutex
	clientKeyrings   map[string]string
}

// New returns what plans with an environment.
func New(env *control.Env) *Storage {
	return &Storage{Poll: 2 * time.Second, Settle: 5 * time.Minute, env: env, clientKeyrings: map[string]string{}}
}

// ID returns the fsid of the Ceph cluster, or "" when there is none that cephctl has made.
func (s *Storage) ID() (string, error) {
	st, err := s.env.Store.Load()
	if err != nil {
		return "", err
	}
	if own := st.Storage[Name]; own != nil {
		return own.ID, nil
	}
	return "", nil
}

// ceph runs a command of Ceph's as client.admin on the master and returns what it prints.
func (s *Storage) ceph(ctx context.Context, args ...string) ([]byte, error) {
	return s.cephInput(ctx, nil, args...)
}

func (s *Storage) cephInput(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cliTimeout, fmt.Errorf("the mons have not answered within %s", cliTimeout))
	defer cancel()
	return s.env.Runner.Run(ctx, stdin, cephCommand(args...)...)
}

// cephCommand is the command line of a command of Ceph's.
func cephCommand(args ...string) []string {
	return append([]string{"ceph", "--connect-timeout", "15"}, args...)
}
