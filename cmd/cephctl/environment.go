package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/common/version"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/ganeti"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/local"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/replica"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/transport"
)

const (
	inventoryAuto   = "auto"
	inventoryLocal  = "local"
	inventoryGaneti = "ganeti"
)

// inventories are the values of the setting.
var inventories = []string{inventoryAuto, inventoryLocal, inventoryGaneti}

// site returns the Ganeti cluster that this host is in, or nil where another inventory is used.
func (c *config) site() (*ganeti.Site, error) {
	if c.Inventory == inventoryLocal {
		return nil, nil
	}
	site, err := ganeti.ReadSite(c.Ganeti.Dir)
	if errors.Is(err, ganeti.ErrNoGaneti) && c.Inventory == inventoryAuto {
		return nil, nil
	}
	return site, err
}

// inventory returns where nodes and groups are kept: in cephctl's own state, or by Ganeti, whose master this has to be.
func (c *config) inventory(site *ganeti.Site, store control.Store, runner control.Runner, host string) (control.Inventory, error) {
	if site == nil {
		return local.New(store, host), nil
	}
	if err := site.CheckMaster(host); err != nil {
		return nil, err
	}
	credentials, err := ganeti.ReadCredentials(c.Ganeti.Credentials)
	if err != nil {
		return nil, err
	}
	trust, err := ganeti.ReadTLS(c.Ganeti.certificate())
	if err != nil {
		return nil, err
	}
	return ganeti.New(site, ganeti.NewRAPI(c.Ganeti.Address, credentials, trust), runner), nil
}

// stateFile is the path of what has to be remembered.
func (c *config) stateFile() string { return filepath.Join(c.StateDir, "state.json") }

// environment returns what plans are made and carried out with.
func (a *app) environment(log *slog.Logger) (*control.Env, error) {
	c := &a.config
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the name of this host: %w", err)
	}
	site, err := c.site()
	if err != nil {
		return nil, err
	}
	store := state.NewFile(c.stateFile())
	runner := &run.Runner{Log: log, Host: host}
	inventory, err := c.inventory(site, store, runner, host)
	if err != nil {
		return nil, err
	}
	nodes, err := transport.New(transport.Options{
		User:       c.SSHUser,
		SSH:        c.SSHCommand,
		SSHOptions: c.sshOptions(site),
		Host:       host,
		Log:        log,

		ConnectTimeout: c.NodeTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("prepare to reach nodes: %w", err)
	}
	env := &control.Env{
		Inventory: inventory,
		Transport: nodes,
		Runner:    runner,
		Store:     store,
		Log:       log,
		Version:   version.Version,
		Parallel:  c.Parallel,
		Points:    points(),

		Unattended: c.Unattended,
	}
	if site != nil {
		env.Store = replica.New(store, replica.Options{
			Path:  c.stateFile(),
			Nodes: site.OtherCandidates,
			Send: func(ctx context.Context, n control.Node, copied replica.Copy) error {
				return replica.Ask(ctx, env, n, copied)
			},
			Log: log,
		})
	}
	return env, nil
}

// sshOptions are the words of ssh.options and then Ganeti's: ssh takes the first value that it meets.
func (c *config) sshOptions(site *ganeti.Site) []string {
	options := strings.Fields(c.SSHOptions)
	if site != nil {
		options = append(options, site.SSHOptions()...)
	}
	return options
}
