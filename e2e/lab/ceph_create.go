package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"golang.org/x/sync/errgroup"
)

// cephConf keeps the daemons small, and reports fresh, as nothing here lives long. Few PGs are made, and failures
// between OSDs of one host are fine.
var cephConf = template.Must(template.New("ceph.conf").Parse(`[global]
fsid = {{.FSID}}
mon host = {{.MonHost}}
public addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
run dir = {{.Dir}}/run
admin socket = {{.Dir}}/run/$cluster-$name.asok
log file = {{.Dir}}/log/$name.log
pid file =
keyring = {{.Dir}}/keyring
mon data = {{.Dir}}/mon.$id
mgr data = {{.Dir}}/mgr.$id
osd data = {{.Dir}}/osd.$id
mon allow pool delete = true
mon data avail warn = 1
mon data avail crit = 0
mgr initial modules =
{{with .ModuleDir}}mgr module path = {{.}}
{{end}}mgr stats period = 1
osd crush chooseleaf type = 0
osd pool default size = {{.Size}}
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd memory target = 939524096
osd fast shutdown notify mon = true
bluestore block size = 2147483648
{{.Config}}
[client]
admin socket = {{.ClientSocket}}
log file =
`))

const clientSocket = "$run_dir/$cluster-$name.$pid.$cctid.asok"

// start makes the cluster from nothing.
func (c *Ceph) start(ctx context.Context) error {
	if err := c.group.mkdirs("run", "log", "mgr.x"); err != nil {
		return err
	}
	c.options.Progress("making the keys and the monmap")
	if err := c.linkModules(); err != nil {
		return err
	}
	if err := c.configure(); err != nil {
		return err
	}
	if err := c.createKeys(ctx); err != nil {
		return err
	}
	c.options.Progress("starting the mon and the mgr")
	if err := c.startMons(ctx); err != nil {
		return err
	}
	if err := c.StartDaemon("mgr.x"); err != nil {
		return err
	}
	c.options.Progress(fmt.Sprintf("starting %d OSDs", c.options.OSDs))
	if err := c.startOSDs(ctx); err != nil {
		return err
	}
	c.options.Progress("waiting until the cluster is healthy")
	if err := c.waitActive(ctx); err != nil {
		return err
	}
	return c.WaitHealthy(ctx)
}

// waitActive returns when every OSD says that it is up, which costs less than to ask a mon over and over.
func (c *Ceph) waitActive(ctx context.Context) error {
	for id := range c.options.OSDs {
		name := "osd." + strconv.Itoa(id)
		err := waitFor(ctx, name, quickPoll, func() (bool, error) { return c.active(ctx, name), c.alive() })
		if err != nil {
			return err
		}
	}
	return nil
}

// active asks an OSD at its admin socket.
func (c *Ceph) active(ctx context.Context, name string) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.AdminSocket(name))
	if err != nil {
		return false
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(`{"prefix": "status"}` + "\x00")); err != nil {
		return false
	}
	answer, err := io.ReadAll(conn)
	return err == nil && bytes.Contains(answer, []byte(`"state": "active"`))
}

// systemModules is where the mgr's modules are installed.
const systemModules = "/usr/share/ceph/mgr"

// spareModules are those that nothing here uses and no release starts by itself. The mgr loads all that it finds, and
// these take it as much CPU time as the others together.
var spareModules = []string{
	"alerts", "cephadm", "cli_api", "dashboard", "diskprediction_local", "feedback", "influx", "insights", "iostat", "k8sevents",
	"localpool", "mds_autoscaler", "mirroring", "nfs", "osd_perf_query", "osd_support", "restful", "rgw", "rook", "selftest",
	"snap_schedule", "stats", "telegraf", "test_orchestrator", "zabbix",
}

// linkModules makes a folder with the mgr's modules but those.
func (c *Ceph) linkModules() error {
	entries, err := os.ReadDir(systemModules)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // installed elsewhere, the mgr knows where
	}
	if err != nil {
		return fmt.Errorf("list the mgr's modules: %w", err)
	}
	if err := c.group.mkdirs("modules"); err != nil {
		return err
	}
	c.moduleDir = c.group.path("modules")
	for _, e := range entries {
		if slices.Contains(spareModules, e.Name()) {
			continue
		}
		if err := os.Symlink(filepath.Join(systemModules, e.Name()), filepath.Join(c.moduleDir, e.Name())); err != nil {
			return fmt.Errorf("link a module of the mgr: %w", err)
		}
	}
	return nil
}

// configure picks names, addresses and ids, and writes the configuration files.
func (c *Ceph) configure() error {
	ports, err := FreePorts(2 * c.options.Mons)
	if err != nil {
		return err
	}
	for i := range c.options.Mons {
		c.mons = append(c.mons, string(rune('a'+i)))
		c.monAddrs = append(c.monAddrs, fmt.Sprintf("[v2:127.0.0.1:%d,v1:127.0.0.1:%d]", ports[2*i], ports[2*i+1]))
	}
	for range c.options.OSDs {
		c.osdUUIDs = append(c.osdUUIDs, newUUID())
	}
	if err := c.writeConf(c.Conf, ""); err != nil {
		return err
	}
	return c.writeConf(c.GuestConf, clientSocket)
}

func (c *Ceph) writeConf(path, socket string) error {
	var conf strings.Builder
	err := cephConf.Execute(&conf, map[string]any{
		"FSID":         c.FSID,
		"MonHost":      strings.Join(c.monAddrs, ","),
		"Dir":          c.Dir,
		"ModuleDir":    c.moduleDir,
		"Size":         min(3, c.options.OSDs),
		"Config":       c.options.Config,
		"ClientSocket": socket,
	})
	if err == nil {
		err = os.WriteFile(path, []byte(conf.String()), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// createKeys makes the keys of the daemons, of client.admin and of client.guest. The first mon takes them over
// from the keyring, which saves a call of `ceph auth` for each.
func (c *Ceph) createKeys(ctx context.Context) error {
	keys := [][]string{
		{"mon.", "mon", "allow *"},
		{"client.admin", "mon", "allow *", "mgr", "allow *", "osd", "allow *", "mds", "allow *"},
		{"client.guest", "mon", "profile rbd", "mgr", "profile rbd", "osd", "profile rbd"},
		{"mgr.x", "mon", "allow profile mgr", "osd", "allow *", "mds", "allow *"},
	}
	for id := range c.options.OSDs {
		keys = append(keys, []string{
			"osd." + strconv.Itoa(id), "mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *",
		})
	}
	if err := c.generateKeys(ctx, c.AdminKeyring, keys); err != nil {
		return err
	}
	return c.exportGuestKey(ctx)
}

// generateKeys makes a keyring. Each key begins with its name, then come daemons and caps in turn.
func (c *Ceph) generateKeys(ctx context.Context, keyring string, keys [][]string) error {
	if err := os.WriteFile(keyring, nil, 0o600); err != nil {
		return fmt.Errorf("create keyring: %w", err)
	}
	for _, key := range keys {
		args := []string{keyring, "--gen-key", "--name", key[0]}
		for i := 1; i < len(key); i += 2 {
			args = append(args, "--cap", key[i], key[i+1])
		}
		if _, err := c.group.run(ctx, "ceph-authtool", args...); err != nil {
			return fmt.Errorf("create key of %s: %w", key[0], err)
		}
	}
	return nil
}

// exportGuestKey writes the guest's key to a keyring of its own.
func (c *Ceph) exportGuestKey(ctx context.Context) error {
	key, err := c.group.run(ctx, "ceph-authtool", c.AdminKeyring, "--print-key", "--name", "client.guest")
	if err == nil {
		err = os.WriteFile(c.GuestKeyring, fmt.Appendf(nil, "[client.guest]\n\tkey = %s\n", strings.TrimSpace(string(key))), 0o600)
	}
	if err != nil {
		return fmt.Errorf("export key of client.guest: %w", err)
	}
	return nil
}

func (c *Ceph) startMons(ctx context.Context) error {
	monmap := c.group.path("monmap")
	args := []string{"--create", "--fsid", c.FSID}
	for i, mon := range c.mons {
		args = append(args, "--addv", mon, c.monAddrs[i])
	}
	if _, err := c.group.run(ctx, "monmaptool", append(args, monmap)...); err != nil {
		return err
	}
	for _, mon := range c.mons {
		_, err := c.group.run(ctx, "ceph-mon", "--conf", c.Conf, "--id", mon,
			"--mkfs", "--monmap", monmap, "--keyring", c.AdminKeyring)
		if err != nil {
			return fmt.Errorf("create mon.%s: %w", mon, err)
		}
		if err := c.StartDaemon("mon." + mon); err != nil {
			return err
		}
	}
	return nil
}

// startOSDs makes the OSDs' stores while the mons learn of them, and starts them.
func (c *Ceph) startOSDs(ctx context.Context) error {
	jobs, ctx := errgroup.WithContext(ctx)
	for id := range c.options.OSDs {
		jobs.Go(func() error { return c.createStore(ctx, id) })
	}
	jobs.Go(func() error { return c.registerOSDs(ctx) })
	if err := jobs.Wait(); err != nil {
		return err
	}
	for id := range c.options.OSDs {
		if err := c.StartDaemon("osd." + strconv.Itoa(id)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Ceph) createStore(ctx context.Context, id int) error {
	name := "osd." + strconv.Itoa(id)
	if err := c.group.mkdirs(name); err != nil {
		return err
	}
	_, err := c.group.run(ctx, "ceph-osd", "--conf", c.Conf, "--id", strconv.Itoa(id),
		"--mkfs", "--osd-uuid", c.osdUUIDs[id])
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	return nil
}

// registerOSDs puts the OSDs into the map one by one, as the mons hand out the ids in that order.
func (c *Ceph) registerOSDs(ctx context.Context) error {
	for id, uuid := range c.osdUUIDs {
		if _, err := c.Ceph(ctx, "osd", "new", uuid); err != nil {
			return fmt.Errorf("register osd.%d: %w", id, err)
		}
	}
	return nil
}
