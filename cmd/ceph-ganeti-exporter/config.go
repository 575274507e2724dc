package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

const envPrefix = "CEPH_GANETI_EXPORTER_"

// errUsage is in errors of flags, environment and configuration file.
var errUsage = errors.New("bad configuration")

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

	Procfs, Sysfs, CephRun, GanetiRun, CephctlRun string

	CephConfig, CephUser, CephKeyring string

	// Enabled says which collectors run, by name.
	Enabled map[string]*bool

	DaemonPriority   int
	DaemonInclude    pattern
	DaemonExclude    pattern
	DaemonHistograms bool
}

// known are all collectors and whether they run when nothing is said.
var known = []struct {
	name, reads string
	enabled     bool
}{
	{"daemon", "admin sockets of this node's Ceph daemons and clients", true},
	{"krbd", "images that this node's kernel has mapped", true},
}

// register declares the flags with their defaults.
func (c *config) register(f *pflag.FlagSet) {
	f.StringVar(&c.File, "config.file", "", "YAML file with the same settings as these flags; flags and environment win over it")
	f.BoolVar(&c.Check, "config.check", false, "check flags, environment and configuration file, then exit")
	f.StringSliceVar(&c.Listen, "web.listen-address", []string{":19283"}, "address to listen on; may be repeated, or vsock://:PORT")
	f.StringVar(&c.TelemetryPath, "web.telemetry-path", "/metrics", "path of the metrics")
	f.StringVar(&c.WebConfig, "web.config.file", "", "file with TLS, basic authentication and rate limit, in the form that all Prometheus exporters share")
	f.BoolVar(&c.SystemdSocket, "web.systemd-socket", false, "take the listening sockets from systemd instead of web.listen-address")
	f.StringVar(&c.LogLevel, "log.level", "info", "lowest level that is logged: debug, info, warn or error")
	f.StringVar(&c.LogFormat, "log.format", "logfmt", "logfmt or json")
	f.DurationVar(&c.TargetTimeout, "scrape.target-timeout", 5*time.Second, "how long one daemon, guest or cluster may take in a scrape")

	f.StringVar(&c.Procfs, "path.procfs", "/proc", "root of procfs")
	f.StringVar(&c.Sysfs, "path.sysfs", "/sys", "root of sysfs")
	f.StringVar(&c.CephRun, "path.ceph-run", "/var/run/ceph", "directory of Ceph's admin sockets")
	f.StringVar(&c.GanetiRun, "path.ganeti-run", "/var/run/ganeti", "directory of Ganeti's runtime files")
	f.StringVar(&c.CephctlRun, "path.cephctl-run", "/run/cephctl", "directory of cephctl's runtime files")

	f.StringVar(&c.CephConfig, "ceph.config", "/etc/ceph/ceph.conf", "Ceph's configuration file, for librados")
	f.StringVar(&c.CephUser, "ceph.user", "ceph-ganeti-exporter", "Ceph user, without \"client.\"")
	f.StringVar(&c.CephKeyring, "ceph.keyring", "", "keyring of that user (default: as the configuration file says)")

	c.Enabled = make(map[string]*bool)
	for _, col := range known {
		c.Enabled[col.name] = f.Bool("collector."+col.name, col.enabled, "read "+col.reads)
		f.Bool("no-collector."+col.name, !col.enabled, "do not read "+col.reads)
		f.Lookup("no-collector." + col.name).Hidden = true
	}
	f.IntVar(&c.DaemonPriority, "collector.daemon.priority", 5, "lowest priority of exported perf counters: 10 critical, 8 interesting, 5 useful, 2 uninteresting, 0 debug")
	f.Var(&c.DaemonInclude, "collector.daemon.include", "only daemons whose name (for example osd.3) this regular expression matches")
	f.Var(&c.DaemonExclude, "collector.daemon.exclude", "no daemons whose name this regular expression matches")
	f.BoolVar(&c.DaemonHistograms, "collector.daemon.histograms", false, "latency histograms of the OSDs, for one more command a scrape to each")
}

// complete fills in what no flag has said, from the environment, then from the file, and checks the whole.
func (c *config) complete(f *pflag.FlagSet, environ []string) error {
	if err := switchOff(f); err != nil {
		return err
	}
	env, err := readEnvironment(f, environ)
	if err != nil {
		return err
	}
	if err := env.apply(f); err != nil {
		return err
	}
	if c.File != "" {
		file, err := readFile(f, c.File)
		if err != nil {
			return err
		}
		if err := file.apply(f); err != nil {
			return err
		}
	}
	return c.validate()
}

// switchOff carries --no-collector.X over to --collector.X.
func switchOff(f *pflag.FlagSet) (err error) {
	f.Visit(func(flag *pflag.Flag) {
		name, ok := strings.CutPrefix(flag.Name, "no-")
		if !ok {
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
	if !strings.HasPrefix(c.TelemetryPath, "/") || len(c.TelemetryPath) < 2 {
		return fmt.Errorf("%w: web.telemetry-path %q: give a path other than / that begins with /", errUsage, c.TelemetryPath)
	}
	if c.TargetTimeout <= 0 {
		return fmt.Errorf("%w: scrape.target-timeout %s: give a duration over zero, for example 5s", errUsage, c.TargetTimeout)
	}
	if _, err := c.logger(); err != nil {
		return err
	}
	return nil
}

// logger makes the logger that the settings ask for. It writes to standard error.
func (c *config) logger() (*slog.Logger, error) {
	level, format := promslog.NewLevel(), promslog.NewFormat()
	if err := level.Set(c.LogLevel); err != nil {
		return nil, fmt.Errorf("%w: log.level %q: give debug, info, warn or error", errUsage, c.LogLevel)
	}
	if err := format.Set(c.LogFormat); err != nil {
		return nil, fmt.Errorf("%w: log.format %q: give logfmt or json", errUsage, c.LogFormat)
	}
	return promslog.New(&promslog.Config{Level: level, Format: format}), nil
}

// source is where settings come from besides the flags.
type source struct {
	kind   string            // for errors
	values map[string]string // by flag
	said   map[string]string // flag -> key as the source spells it
}

// apply sets every flag that has not been set before.
func (s source) apply(f *pflag.FlagSet) error {
	for name, value := range s.values {
		if f.Changed(name) {
			continue
		}
		if err := f.Set(name, value); err != nil {
			return fmt.Errorf("%w: %s: %s: %w", errUsage, s.kind, s.said[name], err)
		}
	}
	return nil
}

func readEnvironment(f *pflag.FlagSet, environ []string) (source, error) {
	s := source{kind: "environment", values: make(map[string]string), said: make(map[string]string)}
	names := make(map[string]string)
	visit(f, func(flag, _ string) { names[variable(flag)] = flag })
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		flag, ok := names[name]
		if !ok {
			return s, fmt.Errorf("%w: environment: no setting is called %s%s", errUsage, name, suggest(name, names))
		}
		s.values[flag], s.said[flag] = value, name
	}
	return s, nil
}

func readFile(f *pflag.FlagSet, path string) (source, error) {
	s := source{kind: path, values: make(map[string]string), said: make(map[string]string)}
	v := viper.New()
	v.SetConfigFile(path)
	v.SetConfigType("yaml")
	if err := v.ReadInConfig(); err != nil {
		return s, fmt.Errorf("%w: read configuration file: %w", errUsage, err)
	}
	names := make(map[string]string)
	visit(f, func(flag, key string) { names[key] = flag })
	keys := v.AllKeys()
	slices.Sort(keys)
	for _, key := range keys {
		flag, ok := names[key]
		if !ok {
			return s, fmt.Errorf("%w: %s: no setting is called %s%s", errUsage, path, key, suggest(key, names))
		}
		s.said[flag] = key
		if f.Lookup(flag).Value.Type() == "stringSlice" {
			s.values[flag] = strings.Join(v.GetStringSlice(key), ",")
		} else {
			s.values[flag] = v.GetString(key)
		}
	}
	return s, nil
}

// visit calls fn for every setting with its flag and its key in the configuration file. Those that only make
// sense on the command line have no key.
func visit(f *pflag.FlagSet, fn func(flag, key string)) {
	f.VisitAll(func(flag *pflag.Flag) {
		switch {
		case flag.Hidden, flag.Name == "config.check", flag.Name == "config.file", !strings.Contains(flag.Name, "."):
		case isSwitch(flag.Name):
			fn(flag.Name, flag.Name+".enabled")
		default:
			fn(flag.Name, flag.Name)
		}
	})
}

// isSwitch tells "collector.X" from the options "collector.X.Y".
func isSwitch(flag string) bool {
	return strings.HasPrefix(flag, "collector.") && strings.Count(flag, ".") == 1
}

// variable returns the environment variable of a flag.
func variable(flag string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(flag))
}

// pattern is a regular expression as a flag. It must match the whole name, as in Prometheus.
type pattern struct {
	text string
	re   *regexp.Regexp
}

// String implements pflag.Value.
func (p *pattern) String() string { return p.text }

// Type implements pflag.Value.
func (p *pattern) Type() string { return "regexp" }

// Set implements pflag.Value.
func (p *pattern) Set(text string) error {
	p.text, p.re = text, nil
	if text == "" {
		return nil
	}
	re, err := regexp.Compile("^(?:" + text + ")$")
	p.re = re
	return err
}

// newFlags returns a set of flags that fills c.
func newFlags(c *config) *pflag.FlagSet {
	f := pflag.NewFlagSet(program, pflag.ContinueOnError)
	c.register(f)
	return f
}

// loadAgain reads all settings anew with the arguments that the process was started with.
func loadAgain(args []string) (*config, error) {
	c := &config{}
	f := newFlags(c)
	if err := f.Parse(args); err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return c, c.complete(f, os.Environ())
}
