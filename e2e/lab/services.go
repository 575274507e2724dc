package lab

import (
	"context"
	"fmt"
)

// The daemons that StartServices starts.
const (
	MDS       = "mds.a"
	RGW       = "rgw.gate"
	RBDMirror = "rbd-mirror.a"
)

// FileSystem is the CephFS that StartServices makes.
const FileSystem = "lab"

// RequireServices is Require for what StartServices needs besides.
func RequireServices(t Test) {
	t.Helper()
	Require(t, "ceph-mds", "radosgw", "rbd-mirror")
}

// StartServices starts an MDS with a file system, an RGW and an rbd-mirror beside a running cluster. It does not wait
// until they serve, which takes an RGW some ten seconds, as it makes its pools first.
func (c *Ceph) StartServices(ctx context.Context) error {
	if err := c.createServiceKeys(ctx); err != nil {
		return fmt.Errorf("start services: %w", err)
	}
	for _, name := range []string{RGW, RBDMirror, MDS} {
		if err := c.StartDaemon(name); err != nil {
			return fmt.Errorf("start services: %w", err)
		}
	}
	for _, args := range [][]string{
		{"osd", "pool", "create", FileSystem + ".meta"},
		{"osd", "pool", "create", FileSystem + ".data"},
		{"fs", "new", FileSystem, FileSystem + ".meta", FileSystem + ".data"},
	} {
		if _, err := c.Ceph(ctx, args...); err != nil {
			return fmt.Errorf("create file system: %w", err)
		}
	}
	return nil
}

// createServiceKeys makes the keys of the services' daemons, in a keyring of their own.
func (c *Ceph) createServiceKeys(ctx context.Context) error {
	keyring := c.serviceKeyring()
	err := c.generateKeys(ctx, keyring, [][]string{
		{MDS, "mon", "profile mds", "mgr", "profile mds", "osd", "allow rw tag cephfs *=*", "mds", "allow"},
		{"client." + RGW, "mon", "allow rw", "mgr", "allow rw", "osd", "allow rwx"},
		{"client." + RBDMirror, "mon", "profile rbd-mirror", "osd", "profile rbd"},
	})
	if err != nil {
		return err
	}
	if _, err := c.Ceph(ctx, "auth", "import", "--in-file", keyring); err != nil {
		return fmt.Errorf("import keys: %w", err)
	}
	return nil
}

func (c *Ceph) serviceKeyring() string { return c.group.path("services.keyring") }

// daemonCommand returns how a daemon is started. Those that the cluster takes for clients get the admin socket of a
// client, as without the lab's configuration.
func (c *Ceph) daemonCommand(kind, id string) (program string, args []string, err error) {
	switch kind {
	case "mds":
		return "ceph-mds", []string{"--conf", c.Conf, "--keyring", c.serviceKeyring(), "--id", id, "--foreground"}, nil
	case "rbd-mirror":
		return kind, []string{"--conf", c.GuestConf, "--keyring", c.serviceKeyring(), "--id", kind + "." + id, "--foreground"}, nil
	case "rgw":
		ports, err := FreePorts(1)
		if err != nil {
			return "", nil, err
		}
		return "radosgw", []string{
			"--conf", c.GuestConf, "--keyring", c.serviceKeyring(), "--id", kind + "." + id, "--foreground",
			"--rgw-frontends", fmt.Sprintf("beast endpoint=127.0.0.1:%d", ports[0]),
		}, nil
	}
	return "ceph-" + kind, []string{"--conf", c.Conf, "--id", id, "--foreground"}, nil
}
