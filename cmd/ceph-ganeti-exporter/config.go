package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/spf13/pflag"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/settings"
)

// errUsage is in errors of flags, environment and configuration file.
var errUsage = errors.New("bad configuration")

// rules say how the flags become keys and variables.
func rules() *settings.Rules {
	return &settings.Rules{
		Prefix:  "CEPH_GANETI_EXPORTER_",
		File:    "config.file",
		Key:     settingsKey,
		Mistake: errUsage,
		Wanted:  map[string]string{"regexp": "a regular expression", "mode": "auto, always or never"},
	}
}

// settingsKey returns the key of a flag. Those that only make sense on the command line have none.
func settingsKey(flag string) string {
	switch {
	case flag == "config.check", flag == "config.file", !strings.Contains(flag, "."):
		return ""
	case isSwitch(flag):
		return flag + ".enabled"
	}
	return flag
}

// isSwitch tells "collector.X" from the options "collector.X.Y".
func isSwitch(flag string) bool {
	return strings.HasPrefix(flag, "collector.") && strings.Count(flag, ".") == 1
}

// config is every setting. Each is a flag, a key of the configuration file and an environment variable.
type config struct {
	File string
	// Check only validates the settings.
	Check bool

	Listen        []string
	TelemetryPath string
	WebConfig     string
	SystemdSocket bool
	LogLevel      string
	LogFormat     string
	TargetTimeout time.Duration

	Procfs, Sysfs, CephRun, GanetiRun, GanetiState, CephctlRun, CephctlState string

	CephConfig, CephUser, CephKeyring string

	// Enabled says which collectors run, by name.
	Enabled map[string]*bool

	Daemon  daemonSettings
	Cluster clusterSettings
	RBD     rbdSettings

	// fixed are the settings that hold from start to end, by flag.
	fixed map[string]string
}

// register declares the flags with their defaults: those of serving alone, and those of every command.
func (c *config) register(serving, f *pflag.FlagSet) {
	f.StringVar(&c.File, "config.file", "", "YAML file with the same settings as these flags; flags and environment win over it")
	serving.BoolVar(&c.Check, "config.check", false, "check flags, environment, configuration file and the keyring that they set, then exit")
	serving.StringSliceVar(&c.Listen, "web.listen-address", []string{":19283"}, "address to listen on; may be repeated, or vsock://:PORT")
	serving.StringVar(&c.TelemetryPath, "web.telemetry-path", "/metrics", "path of the metrics")
	serving.StringVar(&c.WebConfig, "web.config.file", "", "file with TLS, basic authentication and rate limit, in the form that all Prometheus exporters share")
	serving.BoolVar(&c.SystemdSocket, "web.systemd-socket", false, "take the listening sockets from systemd instead of web.listen-address")
	f.StringVar(&c.LogLevel, "log.level", "info", "lowest level that is logged: debug, info, warn or error")
	f.StringVar(&c.LogFormat, "log.format", "logfmt", "logfmt or json")
	f.DurationVar(&c.TargetTimeout, "scrape.target-timeout", 5*time.Second, "how long one daemon, guest or cluster may take in a scrape")

	f.StringVar(&c.Procfs, "path.procfs", "/proc", "root of procfs")
	f.StringVar(&c.Sysfs, "path.sysfs", "/sys", "root of sysfs")
	f.StringVar(&c.CephRun, "path.ceph-run", "/var/run/ceph", "directory of Ceph's admin sockets")
	f.StringVar(&c.GanetiRun, "path.ganeti-run", "/var/run/ganeti", "directory of Ganeti's runtime files")
	f.StringVar(&c.GanetiState, "path.ganeti-state", "/var/lib/ganeti", "directory of what Ganeti keeps on this node")
	f.StringVar(&c.CephctlRun, "path.cephctl-run", "/run/cephctl", "directory of cephctl's runtime files")
	f.StringVar(&c.CephctlState, "path.cephctl-state", "/var/lib/cephctl", "directory of what cephctl keeps on this node")

	f.StringVar(&c.CephConfig, "ceph.config", "/etc/ceph/ceph.conf", "Ceph's configuration file, for librados")
	f.StringVar(&c.CephUser, "ceph.user", "ceph-ganeti-exporter", "Ceph user, without \"client.\"")
	f.StringVar(&c.CephKeyring, "ceph.keyring", "", "keyring of that user (default: as the configuration file says)")

	c.registerCollectors(f)
}

func (c *config) registerCollectors(f *pflag.FlagSet) {
	c.Enabled = make(map[string]*bool)
	for _, r := range c.collectors() {
		c.Enabled[r.name] = f.Bool("collector."+r.name, r.enabled, "read "+r.reads)
		f.Bool("no-collector."+r.name, !r.enabled, "do not read "+r.reads)
		f.Lookup("no-collector." + r.name).Hidden = true
		if r.register != nil {
			r.register(f)
		}
	}
}

// complete fills in what no flag has said, from the environment, then from the file, and checks the whole.
func (c *config) complete(f *pflag.FlagSet) error {
	if err := switchOff(f); err != nil {
		return err
	}
	if err := rules().Read(f); err != nil {
		return err
	}
	if err := c.validate(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	c.fixed = make(map[string]string)
	f.VisitAll(func(flag *pflag.Flag) {
		if strings.HasPrefix(flag.Name, "web.") || strings.HasPrefix(flag.Name, "log.") {
			c.fixed[flag.Name] = flag.Value.String()
		}
	})
	return nil
}

// switchOff carries --no-collector.X over to --collector.X.
func switchOff(f *pflag.FlagSet) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		name, ok := strings.CutPrefix(flag.Name, "no-")
		if !ok || err != nil {
			return
		}
		if f.Changed(name) {
			err = fmt.Errorf("%w: --%s and --%s contradict each other", errUsage, name, flag.Name)
			return
		}
		on := "true"
		if flag.Value.String() == "true" {
			on = "false"
		}
		err = f.Set(name, on)
	})
	return err
}

func (c *config) validate() error {
	if err := c.validateTelemetryPath(); err != nil {
		return err
	}
	if c.TargetTimeout <= 0 {
		return fmt.Errorf("scrape.target-timeout %s: give a duration over zero, for example 5s", c.TargetTimeout)
	}
	if err := c.validateListen(); err != nil {
		return err
	}
	if strings.HasPrefix(c.CephUser, "client.") {
		return fmt.Errorf("ceph.user %s: leave out \"client.\"", c.CephUser)
	}
	if err := web.Validate(c.WebConfig); err != nil {
		return fmt.Errorf("web.config.file %s: %w", c.WebConfig, err)
	}
	if err := errors.Join(c.Daemon.validate(), c.RBD.validate()); err != nil {
		return err
	}
	_, err := c.logger()
	return err
}

func (c *config) validateTelemetryPath() error {
	given := c.TelemetryPath
	switch {
	case !strings.HasPrefix(given, "/"), len(given) < 2, strings.HasPrefix(given, "/-/"), strings.HasPrefix(given, "/1/"):
		return fmt.Errorf("web.telemetry-path %q: give a path that begins with /, other than /, /-/ and /1/", given)
	case strings.ContainsAny(given, "{} "):
		return fmt.Errorf("web.telemetry-path %q: leave out braces and blanks", given)
	}
	// The server would clean such a path of a request, and never find it.
	if clean := path.Clean(given); clean == "/" || given != clean && given != clean+"/" {
		return fmt.Errorf("web.telemetry-path %q: leave out the parts . and .. and double slashes", given)
	}
	return nil
}

func (c *config) validateListen() error {
	if len(c.Listen) == 0 && !c.SystemdSocket {
		return errors.New("web.listen-address: give at least one address, or set web.systemd-socket")
	}
	for _, address := range c.Listen {
		_, port, err := net.SplitHostPort(strings.TrimPrefix(address, "vsock://"))
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return fmt.Errorf("web.listen-address %q: give [HOST]:PORT, for example :19283: %w", address, err)
		}
	}
	return nil
}

// checkKeyring tells whether the keyring that is set can be read now. It is not needed to serve: it may come later.
func (c *config) checkKeyring() error {
	if c.CephKeyring == "" {
		return nil
	}
	_, err := os.ReadFile(c.CephKeyring)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("ceph.keyring: %w: write ceph auth get client.%s into it, or correct the path", err, c.CephUser)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("ceph.keyring: %w: let the exporter's user read it", err)
	case err != nil:
		return fmt.Errorf("ceph.keyring: %w: give the path of a file", err)
	}
	return nil
}

// logger makes the logger that the settings ask for. It writes to standard error.
func (c *config) logger() (*slog.Logger, error) {
	level, format := promslog.NewLevel(), promslog.NewFormat()
	if err := level.Set(c.LogLevel); err != nil {
		return nil, fmt.Errorf("log.level %q: give debug, info, warn or error", c.LogLevel)
	}
	if err := format.Set(c.LogFormat); err != nil {
		return nil, fmt.Errorf("log.format %q: give logfmt or json", c.LogFormat)
	}
	return promslog.New(&promslog.Config{Level: level, Format: format}), nil
}

// newFlags returns a set of flags that fills c.
func newFlags(c *config) *pflag.FlagSet {
	f := pflag.NewFlagSet(program, pflag.ContinueOnError)
	c.register(f, f)
	return f
}

// load reads all settings with the arguments that the process was started with.
func load(args []string) (*config, error) {
	c := &config{}
	f := newFlags(c)
	if err := f.Parse(args); err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return c, c.complete(f)
}
