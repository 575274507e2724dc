package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/settings"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/ganeti"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/instance"
)

// config is every global setting. Each is a flag, a key of the configuration file and an environment variable, but for
// those that rules name.
type config struct {
	File   string
	Output string

	StateDir    string
	RunDir      string
	Inventory   string
	Ganeti      ganetiConfig
	SSHUser     string
	SSHCommand  string
	SSHOptions  string
	Parallel    int
	NodeTimeout time.Duration
	LogFile     string
	LogLevel    string
	// HookInstances is what hooks do about instances: instancesWarn or instancesRefuse.
	HookInstances string
	// Unattended is the hidden flag of what hooks begin.
	Unattended bool

	flags *pflag.FlagSet
	level slog.Level
}

// ganetiConfig says how to reach Ganeti.
type ganetiConfig struct {
	Dir         string
	Address     string
	Credentials string
	Certificate string
}

// certificate is the file of the pinned certificate.
func (c *ganetiConfig) certificate() string {
	return cmp.Or(c.Certificate, filepath.Join(c.Dir, "rapi.pem"))
}

// unattended is the name of the hidden flag.
const unattended = "unattended"

// rules say how the flags become keys and variables.
func rules() *settings.Rules {
	return &settings.Rules{
		Prefix: "CEPHCTL_",
		File:   "config",
		Key: func(flag string) string {
			switch flag {
			case "config", "help":
				return ""
			}
			return flag
		},
		Mistake: control.ErrUsage,
	}
}

// register declares the flags with their defaults.
func (c *config) register(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&c.File, "config", "/etc/cephctl.yml", "YAML file with the same settings as these flags; flags and environment win over it")
	f.StringVarP(&c.Output, "output", "o", outputTable, "table, json or yaml")
	f.StringVar(&c.StateDir, "state-dir", "/var/lib/cephctl", "folder of what has to be remembered")
	f.StringVar(&c.RunDir, "run-dir", instance.DefaultRunDir, "folder of the files of running instances, on every node")
	f.StringVar(&c.Inventory, "inventory", "auto", "where nodes and groups are kept: ganeti, local, or auto for Ganeti where there is one")
	f.StringVar(&c.Ganeti.Dir, "ganeti.dir", ganeti.Dir, "folder in which Ganeti keeps its configuration")
	f.StringVar(&c.Ganeti.Address, "ganeti.rapi", "127.0.0.1:5080", "host and port of Ganeti's remote API")
	f.StringVar(&c.Ganeti.Credentials, "ganeti.rapi-user-file", "/etc/cephctl.rapi", "file with \"USER PASSWORD\" of a user of that API who may write; mode 0600")
	f.StringVar(&c.Ganeti.Certificate, "ganeti.rapi-certificate", "", "certificate that the API has to show (default: rapi.pem in ganeti.dir)")
	f.StringVar(&c.HookInstances, "hooks.instances", instancesWarn, "what gnt-instance add, start and migrate do when disks can't be opened, or the node may hang: warn or refuse")
	f.StringVar(&c.SSHUser, "ssh.user", "root", "user on the other nodes")
	f.StringVar(&c.SSHCommand, "ssh.command", "ssh", "program that reaches the other nodes")
	f.StringVar(&c.SSHOptions, "ssh.options", "", "more options for ssh, for example \"-o Port=2222\"")
	f.IntVar(&c.Parallel, "parallel", 8, "nodes at once")
	f.DurationVar(&c.NodeTimeout, "node-timeout", 10*time.Second, "how long a node may take to let ssh in")
	f.StringVar(&c.LogFile, "log.file", "/var/log/cephctl.log", "file that tells what was run where, a line of JSON each; none when empty")
	f.StringVar(&c.LogLevel, "log.level", "info", "lowest level that is logged: debug, info, warn or error")
	f.BoolVar(&c.Unattended, unattended, false, "nobody has typed this")
	_ = f.MarkHidden(unattended) // fails without such a flag only
	c.flags = f
}

// complete fills in what no flag has said, from the environment, then from the file, and checks the whole.
func (c *config) complete() error {
	if err := rules().Read(c.flags); err != nil {
		return err
	}
	if err := c.validate(); err != nil {
		return fmt.Errorf("%w: %w", control.ErrUsage, err)
	}
	return nil
}

func (c *config) validate() error {
	switch {
	case !slices.Contains(outputs, c.Output):
		return fmt.Errorf("output %q: give %s", c.Output, either(outputs))
	case !slices.Contains(inventories, c.Inventory):
		return fmt.Errorf("inventory %q: give %s", c.Inventory, either(inventories))
	case !slices.Contains(hookInstances, c.HookInstances):
		return fmt.Errorf("hooks.instances %q: give %s", c.HookInstances, either(hookInstances))
	case !filepath.IsAbs(c.StateDir):
		return fmt.Errorf("state-dir %q: give an absolute path", c.StateDir)
	case !filepath.IsAbs(c.RunDir):
		return fmt.Errorf("run-dir %q: give an absolute path", c.RunDir)
	case c.Parallel < 1:
		return fmt.Errorf("parallel %d: give a number over zero", c.Parallel)
	case c.NodeTimeout < time.Second:
		return fmt.Errorf("node-timeout %s: give a second or more, for example 10s", c.NodeTimeout)
	case c.SSHUser == "" || strings.HasPrefix(c.SSHUser, "-"):
		return fmt.Errorf("ssh.user %q: give the name of a user", c.SSHUser)
	case c.SSHCommand == "":
		return fmt.Errorf("ssh.command %q: give a program, for example ssh", c.SSHCommand)
	}
	if err := c.level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return fmt.Errorf("log.level %q: give debug, info, warn or error", c.LogLevel)
	}
	return nil
}

// either lists words as a choice.
func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
