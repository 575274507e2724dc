package loopback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/internal/each"
)

const (
	// askTimeout is how long one OSD may take to answer: it takes 0.1 ms.
	askTimeout = time.Second
	// poolsAge is how long the last answer of an OSD that hangs is good for. Just then the level is needed most, and
	// placement groups hardly move from an OSD that answers nobody.
	poolsAge = 10 * time.Minute
)

// osdState is what an OSD has said, until another process takes its socket.
type osdState struct {
	OSD
	socket uint64 // inode
}

// readOSDs asks the OSDs of this node which pools they serve, all at once.
func (r *Reader) readOSDs(ctx context.Context, f *Facts) {
	sockets, err := adminsocket.Find(r.opts.CephRun)
	f.miss(SourceOSDs, err)
	f.Node.OSDsKnown = err == nil
	asked := make([]askedOSD, 0, len(sockets))
	for _, s := range sockets {
		if id, err := strconv.Atoi(s.ID); err == nil && s.Type == "osd" {
			asked = append(asked, askedOSD{path: s.Path, osd: OSD{ID: id, FSID: r.clusterOf(s)}})
		}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	each.Do(len(asked), len(asked), func(i int) { asked[i].ask(ctx, r.opts.Caller, r.opts.Now) })
	r.keepOSDs(f, asked)
}

// keepOSDs puts in the OSDs that run. One that does not answer has the pools that it named last.
func (r *Reader) keepOSDs(f *Facts, asked []askedOSD) {
	kept := make(map[string]osdState, len(asked))
	r.hanging = nil
	for _, a := range asked {
		last := r.osds[a.path]
		switch {
		case errors.Is(a.err, syscall.ECONNREFUSED), errors.Is(a.err, fs.ErrNotExist):
			continue // a dead OSD serves nobody
		case a.err != nil && last.Known() && last.socket == a.socket && r.opts.Now().Sub(last.Asked) < poolsAge:
			a.osd = last.OSD
		case a.err != nil:
			f.miss(SourceOSDs, fmt.Errorf("ask osd.%d which pools it serves: %w", a.osd.ID, a.err))
		}
		if a.err != nil {
			r.hanging = append(r.hanging, a.osd)
		}
		kept[a.path] = osdState{a.osd, a.socket}
		f.Node.OSDs = append(f.Node.OSDs, a.osd)
	}
	r.osds = kept
}

// countOSDs compares the OSDs that were found with the processes that are some: one whose admin socket is elsewhere, as
// with a wrong path or in a container, would be taken for none.
func (r *Reader) countOSDs(f *Facts) {
	running := 0
	for _, pid := range r.processes.osds {
		if isOSD(r.opts.Procfs, pid) {
			running++
		}
	}
	if running > len(f.Node.OSDs) {
		f.Node.OSDsKnown = false
		f.miss(SourceOSDs, fmt.Errorf("%d OSDs run on this node, and %d have an admin socket in %s: say where the others have theirs",
			running, len(f.Node.OSDs), r.opts.CephRun))
	}
}

// askedOSD is an OSD and what came of asking it.
type askedOSD struct {
	path   string
	socket uint64
	osd    OSD
	err    error
}

func (a *askedOSD) ask(ctx context.Context, caller Asker, now func() time.Time) {
	if a.socket, a.err = inode(a.path); a.err != nil {
		return
	}
	reply, err := caller.Call(ctx, a.path, adminsocket.MappedPools, nil)
	if err == nil {
		a.osd.Pools, err = ParseMappedPools(reply.Data)
	}
	if a.err = err; err == nil {
		a.osd.Asked = now()
	}
}

// ParseMappedPools reads an OSD's answer to get_mapped_pools: a list of ids.
func ParseMappedPools(data []byte) ([]uint64, error) {
	var pools []uint64
	if err := json.Unmarshal(data, &pools); err != nil {
		return nil, fmt.Errorf("decode mapped pools: %w", err)
	}
	if pools == nil {
		return nil, errors.New("decode mapped pools: no list")
	}
	return pools, nil
}

var fsidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// clusterOf returns the cluster that an OSD belongs to: as the folder of its socket has it, or a file beside its data;
// empty when neither says.
func (r *Reader) clusterOf(s adminsocket.Socket) string {
	if dir := filepath.Base(filepath.Dir(s.Path)); fsidForm.MatchString(dir) {
		return dir
	}
	text, err := os.ReadFile(filepath.Join(r.opts.CephLib, "osd", s.Cluster+"-"+s.ID, "ceph_fsid"))
	if fsid := strings.TrimSpace(string(text)); err == nil && fsidForm.MatchString(fsid) {
		return fsid
	}
	return ""
}
