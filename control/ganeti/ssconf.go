// Package ganeti is the inventory of a Ganeti cluster: what its files and its remote API say, changed through that API
// and through gnt-node where the API has no word for it.
package ganeti

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/host"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/ssconf"
)

// Dir is where Ganeti keeps what each of its nodes knows.
const Dir = "/var/lib/ganeti"

// Site is what a node of a Ganeti cluster knows without asking anybody: the files ssconf_* of Ganeti's folder.
type Site struct {
	files ssconf.Dir
	// Cluster is the name of the cluster, under which ssh knows the host key of all nodes.
	Cluster string
	// Master is the full name of the master node.
	Master string
}

// ErrNoGaneti is in the error where there is no Ganeti, or one that is in no cluster.
var ErrNoGaneti = errors.New("this host is in no Ganeti cluster")

// ErrNotMaster is in the error on a node that is not the master.
var ErrNotMaster = errors.New("this is not the master node")

// ReadSite reads what this node knows, in Dir or, for tests, elsewhere. The error wraps ErrNoGaneti where there is no
// Ganeti.
func ReadSite(dir string) (*Site, error) {
	s := &Site{files: ssconf.Dir(dir)}
	for _, f := range []struct {
		name  string
		value *string
	}{{"cluster_name", &s.Cluster}, {"master_node", &s.Master}} {
		lines, err := s.files.Lines(f.name)
		switch isMissing := errors.Is(err, fs.ErrNotExist); {
		case isMissing && s.Cluster == "":
			return nil, fmt.Errorf("%w: there is no %s", ErrNoGaneti, s.files.Path(f.name))
		case err != nil && !isMissing:
			return nil, err
		case len(lines) == 0:
			return nil, fmt.Errorf("read Ganeti's configuration: %s is empty or missing: run gnt-cluster redist-conf on the master", s.files.Path(f.name))
		}
		*f.value = lines[0]
	}
	return s, nil
}

// OtherCandidates are the nodes that may become the master, but for the one that is.
func (s *Site) OtherCandidates() ([]control.Node, error) {
	names, err := s.files.Lines("master_candidates")
	if err != nil {
		return nil, err
	}
	var nodes []control.Node
	for _, name := range names {
		if name != s.Master {
			nodes = append(nodes, control.Node{Name: name, Address: name})
		}
	}
	return nodes, nil
}

// CheckMaster returns an error that wraps ErrNotMaster and names the master, when that is another host.
func (s *Site) CheckMaster(hostname string) error {
	if host.Same(s.Master, hostname) {
		return nil
	}
	return fmt.Errorf("%w of %s: run this on %s", ErrNotMaster, s.Cluster, s.Master)
}

// SSHOptions are what makes ssh trust the nodes as Ganeti does: one host key, known by the name of the cluster.
func (s *Site) SSHOptions() []string {
	return []string{
		"-o", "GlobalKnownHostsFile=" + filepath.Join(string(s.files), "known_hosts"), "-o", "UserKnownHostsFile=/dev/null",
		"-o", "HostKeyAlias=" + s.Cluster,
	}
}
