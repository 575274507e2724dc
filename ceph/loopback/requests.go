package loopback

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// request is one that the kernel's client has sent to an OSD.
type request struct {
	id     string
	osd    int
	object string
}

// parseRequests takes osdc of debugfs: below "REQUESTS n homeless n" a line each, as
// "7035 osd1 2.7a1ef1a4 2.4 [1,0]/1 [1,0]/1 e45 rbd_data.10a6f2a2b3c4.0000000000000012 0x400024 1 write", until the
// next heading. In a namespace the object is "tenant/rbd_data...", and a request that no OSD takes is for "osd-1". Lines
// of another form are left out, and so is what keeps the watch of an image alive: it also does so for an idle one, and
// nobody's data wait for it.
func parseRequests(text string) []request {
	var requests []request
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "LINGER") || strings.HasPrefix(line, "BACKOFFS") {
			break
		}
		fields := strings.Fields(line)
		if len(fields) < 8 || fields[len(fields)-1] == "watch-ping" {
			continue
		}
		name, isOSD := strings.CutPrefix(fields[1], "osd")
		osd, err := strconv.Atoi(name)
		if _, idErr := strconv.ParseUint(fields[0], 10, 64); !isOSD || err != nil || idErr != nil {
			continue
		}
		object := fields[7][strings.LastIndex(fields[7], "/")+1:]
		requests = append(requests, request{id: fields[0], osd: osd, object: object})
	}
	return requests
}

// of tells whether the request is for an image: its objects have its id in their names.
func (q request) of(imageID string) bool {
	if imageID == "" {
		return false
	}
	for _, prefix := range []string{"rbd_data.", "rbd_header.", "rbd_object_map."} {
		rest, ok := strings.CutPrefix(q.object, prefix)
		if !ok {
			continue
		}
		if _, afterPool, hasPool := strings.Cut(rest, "."); hasPool && strings.HasPrefix(afterPool, imageID+".") {
			return true
		}
		return rest == imageID || strings.HasPrefix(rest, imageID+".")
	}
	return false
}

// readRequests fills in what is under way to OSDs of this node and how long it has been seen. Without debugfs, it is
// what is under way on the device and how long none has ended.
func (r *Reader) readRequests(f *Facts) {
	clients, err := os.ReadDir(filepath.Join(r.opts.Sysfs, "kernel", "debug", "ceph"))
	if err != nil {
		f.miss(SourceRequests, explain("list clients in debugfs", err))
	}
	byClient := make(map[string][]request)
	for _, c := range clients {
		if !c.IsDir() || !r.moving(c.Name(), f) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(r.opts.Sysfs, "kernel", "debug", "ceph", c.Name(), "osdc"))
		if gone(err) {
			continue
		}
		if err != nil {
			f.miss(SourceRequests, explain("read requests", err))
			continue
		}
		byClient[c.Name()] = parseRequests(string(text))
	}
	seen := make(map[string]time.Time)
	for i := range f.Mappings {
		m := &f.Mappings[i]
		if m.Driver == NBD || f.Missing[SourceRequests] != nil {
			r.requestsOfDevice(m)
			continue
		}
		client := r.images[m.Device].client
		r.requestsOfImage(m, client, byClient[client], f.Node.OSDs, seen)
	}
	r.requests = seen
}

// moving tells whether a client has a device with requests in flight.
func (r *Reader) moving(client string, f *Facts) bool {
	for i := range f.Mappings {
		device := f.Mappings[i].Device
		if r.images[device].client == client && r.devices[device].inFlight > 0 {
			return true
		}
	}
	return false
}

func (r *Reader) requestsOfDevice(m *Mapping) {
	state := r.devices[m.Device]
	m.InFlight, m.InFlightAll = state.inFlight, true
	if state.inFlight > 0 {
		m.Oldest = r.opts.Now().Sub(state.moved)
	}
}

func (r *Reader) requestsOfImage(m *Mapping, client string, requests []request, osds []OSD, seen map[string]time.Time) {
	for _, q := range requests {
		key := client + " " + q.id
		since, ok := r.requests[key]
		// An OSD here that hangs is marked down some day. Who waited for it and has no other waits on, and who comes then
		// waits as well.
		waits := q.osd < 0 && (ok || r.hangs(m))
		if !q.of(m.ImageID) && !r.reads(m, q) || !waits && !isHere(q.osd, m.FSID, osds) {
			continue
		}
		if !ok {
			since = r.opts.Now()
		}
		seen[key] = since
		m.InFlight++
		m.Oldest = max(m.Oldest, r.opts.Now().Sub(since))
	}
}

// reads tells whether a request may be what a clone reads from its parents: who has nothing under way reads nothing. Other
// clones of the same parent read the same objects.
func (r *Reader) reads(m *Mapping, q request) bool {
	return r.devices[m.Device].inFlight > 0 && slices.ContainsFunc(m.Parents, func(p Parent) bool { return q.of(p.ImageID) })
}

// hangs tells whether an OSD of this node does not answer that has, for all that is known, a part of an image's pool.
func (r *Reader) hangs(m *Mapping) bool {
	here, _ := Node{OSDs: r.hanging, OSDsKnown: true}.serves(*m)
	return here != no
}

func isHere(id int, fsid string, osds []OSD) bool {
	for _, o := range osds {
		if o.ID == id && o.mayBeOf(fsid) {
			return true
		}
	}
	return false
}
