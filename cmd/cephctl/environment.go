package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/common/version"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/local"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/state"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/transport"
)

const (
	inventoryAuto  = "auto"
	inventoryLocal = "local"
)

// inventories are the values of the setting.
var inventories = []string{inventoryAuto, inventoryLocal}

// newInventory returns the inventory of a setting. As long as there is one kind, that is what auto finds.
func newInventory(_ string, store control.Store, host string) control.Inventory {
	return local.New(store, host)
}

// environment returns what plans are made and carried out with.
func (a *app) environment(log *slog.Logger) (*control.Env, error) {
	c := &a.config
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find the name of this host: %w", err)
	}
	store := state.NewFile(filepath.Join(c.StateDir, "state.json"))
	nodes, err := transport.New(transport.Options{
		User:       c.SSHUser,
		SSH:        c.SSHCommand,
		SSHOptions: c.sshOptions(),
		Host:       host,
		Log:        log,
	})
	if err != nil {
		return nil, fmt.Errorf("prepare to reach nodes: %w", err)
	}
	return &control.Env{
		Inventory: newInventory(c.Inventory, store, host),
		Transport: nodes,
		Runner:    &run.Runner{Log: log, Host: host},
		Store:     store,
		Log:       log,
		Version:   version.Version,
		Parallel:  c.Parallel,
		Points:    points(),
	}, nil
}

// sshOptions are the words of ssh.options and then ours: ssh takes the first value that it meets.
func (c *config) sshOptions() []string {
	timeout := "ConnectTimeout=" + strconv.Itoa(int(c.NodeTimeout.Seconds()))
	return append(strings.Fields(c.SSHOptions), "-o", timeout)
}
