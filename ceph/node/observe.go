package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/procfile"
)

// Observe looks at the host. It changes nothing; what can't be read becomes a problem. What hangs is an error, as nobody can
// say then what there is.
func (h *Host) Observe(ctx context.Context, query Query) (Facts, error) {
	limit := cmp.Or(h.observed, defaultObserved)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	o := observer{host: h, facts: Facts{Time: time.Now()}}
	o.machine()
	o.packages(ctx, query.Backend)
	o.etcCeph()
	o.daemons(ctx)
	for _, path := range query.Devices {
		o.facts.Devices = append(o.facts.Devices, o.device(ctx, path, query.Backend))
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return Facts{}, fmt.Errorf("not all could be looked at within %s: %s", limit, strings.Join(o.facts.Problems, "; "))
	}
	return o.facts, nil
}

// observer gathers the facts, and what could not be read.
type observer struct {
	host  *Host
	facts Facts
}

// problem notes an error. It returns whether there was one.
func (o *observer) problem(what string, err error) bool {
	if err != nil {
		o.facts.Problems = append(o.facts.Problems, what+": "+err.Error())
	}
	return err != nil
}

// machine reads what has nothing to do with Ceph.
func (o *observer) machine() {
	name, err := os.Hostname()
	o.problem("read host name", err)
	o.facts.Host, _, _ = strings.Cut(name, ".")
	memory, err := os.ReadFile("/proc/meminfo")
	if !o.problem("read memory", err) {
		total, err := procfile.Memory(string(memory), "MemTotal")
		o.facts.MemoryBytes = int64(total)
		o.problem("read memory", err)
	}
	addresses, err := net.InterfaceAddrs()
	o.problem("read addresses", err)
	o.facts.Addresses = globalAddresses(addresses)
	o.facts.VarFreeBytes, err = freeBelow(o.host.layout().varCeph())
	o.problem("read free space", err)
}

func globalAddresses(addresses []net.Addr) []string {
	found := []string{}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && !network.IP.IsLoopback() {
			found = append(found, network.String())
		}
	}
	return found
}

// freeBelow returns what is free in the file system of a folder, or of where it would be.
func freeBelow(path string) (int64, error) {
	for {
		var stat unix.Statfs_t
		err := unix.Statfs(path, &stat)
		if err == nil {
			return int64(stat.Bavail) * stat.Bsize, nil
		}
		if path == "/" {
			return 0, err
		}
		path = filepath.Dir(path)
	}
}

// etcCeph reads ceph.conf, and what keyrings there are.
func (o *observer) etcCeph() {
	l := o.host.layout()
	conf, err := readConf(l.conf())
	if o.problem("read "+l.conf(), err) {
		conf = &Conf{}
	}
	o.facts.Conf = conf
	paths, _ := filepath.Glob(l.keyring("*.keyring"))
	for _, path := range paths {
		info, err := os.Stat(path)
		if o.problem("look at keyring", err) {
			continue
		}
		o.facts.Keyrings = append(o.facts.Keyrings, File{
			Name: filepath.Base(path), Mode: fmt.Sprintf("%04o", info.Mode().Perm()),
		})
	}
}

// device looks at a device or file. With a problem, the device does not count as pristine.
func (o *observer) device(ctx context.Context, path, backend string) DeviceFacts {
	facts, err := DeviceFacts{}, error(nil)
	if backend == BackendFile {
		facts, err = bounded(ctx, "look at "+path, func() (DeviceFacts, error) { return inspectFile(path) })
	} else {
		facts, err = o.host.inspect(ctx, path)
	}
	if o.problem("look at "+path, err) {
		facts.Path, facts.Pristine = path, false
		if facts.Content == "" {
			facts.Content = "what can't be read"
		}
	}
	if facts.Stable == "" {
		facts.Stable = path
	}
	return facts
}
