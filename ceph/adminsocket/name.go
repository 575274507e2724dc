package adminsocket

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Socket is an admin socket found in Ceph's run directory.
type Socket struct {
	Path string
	// Cluster is the name of the cluster as the file's name has it, nearly always "ceph".
	Cluster string
	// Type is "mon", "mgr", "osd", "mds" or "client".
	Type string
	// ID is what follows the type. For a client it usually ends in a process id and a number that is unique
	// within the process.
	ID string
}

// Daemon returns the value of the label ceph_daemon that Ceph's own exporter gives it: type and id, and for a
// client the id alone.
func (s Socket) Daemon() string {
	if s.Type == "client" {
		return s.ID
	}
	return s.Type + "." + s.ID
}

// InstanceID returns the value of the label instance_id that Ceph's own exporter gives the perf counters of a RADOS
// gateway in place of ceph_daemon, as it does from release 18 on: the fourth part of its name, which with cephadm's
// names (rgw.<service>.<host>.<random>.<pid>.<number>) is the random one, or the last part where the first is
// radosgw. ok is false for what is no gateway, and for one whose name has fewer parts: that exporter leaves it out.
func (s Socket) InstanceID() (id string, ok bool) {
	parts := strings.Split(s.ID, ".")
	switch first := parts[0]; {
	case s.Type != "client", len(parts) < 2:
	case strings.Contains(first, "radosgw"):
		return parts[len(parts)-1], true
	case strings.Contains(first, "rgw") && len(parts) > 3:
		return parts[3], true
	}
	return "", false
}

// ClientPID returns the process id in a client's socket name, 0 when there is none.
func (s Socket) ClientPID() int {
	parts := strings.Split(s.ID, ".")
	if s.Type != "client" || len(parts) < 3 {
		return 0
	}
	pid, err := strconv.Atoi(parts[len(parts)-2])
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}

// ParseName reads what the name of a socket file says, for example "ceph-osd.3.asok" or
// "ceph-client.rgw.gate.4711.94.asok". ok is false for names of any other form.
func ParseName(path string) (s Socket, ok bool) {
	name, ok := strings.CutSuffix(filepath.Base(path), ".asok")
	if !ok {
		return Socket{}, false
	}
	parts := socketName.FindStringSubmatch(name)
	if parts == nil {
		return Socket{}, false
	}
	return Socket{Path: path, Cluster: parts[1], Type: parts[2], ID: parts[3]}, true
}

var socketName = regexp.MustCompile(`^(.+?)-(mon|mgr|osd|mds|client)\.(.+)$`)

// Find lists the admin sockets in a run directory and in its subdirectories, one a cluster's fsid, as cephadm
// makes them. They are in the order of their paths. What is no socket of a known name is left out. A directory
// that does not exist holds none; one that can't be read is an error, beside what the others hold.
func Find(runDir string) ([]Socket, error) {
	entries, err := readDir(runDir)
	if err != nil {
		return nil, err
	}
	var found []Socket
	var errs []error
	for _, entry := range entries {
		path := filepath.Join(runDir, entry.Name())
		if !entry.IsDir() {
			found = appendSocket(found, path, entry)
			continue
		}
		inner, err := readDir(path)
		if err != nil {
			errs = append(errs, err)
		}
		for _, entry := range inner {
			found = appendSocket(found, filepath.Join(path, entry.Name()), entry)
		}
	}
	return found, errors.Join(errs...)
}

func readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list admin sockets: %w", err)
	}
	return entries, nil
}

func appendSocket(found []Socket, path string, entry fs.DirEntry) []Socket {
	if entry.Type() != fs.ModeSocket {
		return found
	}
	if s, ok := ParseName(path); ok {
		found = append(found, s)
	}
	return found
}
