package loopback

import (
	"strconv"
	"strings"
	"time"
)

// deviceState is what is kept of a device from one reading to the next.
type deviceState struct {
	folder uint64 // of the image: another image on the same device is another device
	// finished is what the device had finished at the last reading, looked at the last look at processes.
	finished, looked string
	inFlight         int
	// moved is when a request was finished last, as it was seen.
	moved time.Time
	stack []stackDevice
}

// state returns what is kept of a mapping's device, with what it has finished by now.
func (r *Reader) state(m *Mapping) *deviceState {
	state := r.devices[m.Device]
	if folder := r.images[m.Device].folder; state == nil || state.folder != folder {
		state = &deviceState{folder: folder}
		r.devices[m.Device] = state
	}
	text, err := r.small(r.opts.Sysfs, "block", m.Device, "stat")
	finished, inFlight, ok := parseStat(text)
	if err != nil || !ok {
		finished = "" // nothing is known of it, so that it counts as one that moves
	}
	if finished != state.finished || inFlight == 0 {
		state.moved = r.opts.Now()
	}
	state.finished, state.inFlight = finished, inFlight
	return state
}

// still tells whether the device has finished nothing since the last look.
func (s *deviceState) still() bool { return s.finished != "" && s.finished == s.looked }

// parseStat takes /sys/block/DEVICE/stat and returns what tells whether requests were finished, and how many are in
// flight. ok is false for any other text.
func parseStat(text string) (finished string, inFlight int, ok bool) {
	fields := strings.Fields(text)
	const reads, writes, flight, discards, flushes = 0, 4, 8, 11, 15
	if len(fields) <= flight {
		return "", 0, false
	}
	inFlight, err := strconv.Atoi(fields[flight])
	if err != nil || inFlight < 0 {
		return "", 0, false
	}
	finished = fields[reads] + " " + fields[writes]
	for _, i := range []int{discards, flushes} { // later kernels
		if len(fields) > i {
			finished += " " + fields[i]
		}
	}
	return finished, inFlight, true
}

// readUses fills in who has the devices open or mounted.
func (r *Reader) readUses(f *Facts) {
	kernel, err := r.readKernelUses()
	f.miss(SourceMounts, err)
	look := false
	for i := range f.Mappings {
		m := &f.Mappings[i]
		state := r.state(m)
		m.Uses = kernel.uses(state.stack)
		look = r.processes.wanted(m, state, r.opts.Now()) || look
	}
	if look {
		r.look(f, &kernel)
	}
	f.miss(SourceProcesses, r.processes.missing)
	for i := range f.Mappings {
		m := &f.Mappings[i]
		m.Uses = append(m.Uses, r.processes.uses(m.Device)...)
		m.Looked = r.processes.looked
		if f.Missing[SourceMounts] != nil {
			m.Unseen = append(m.Unseen, Filesystem, Swap)
		}
		if f.Missing[SourceProcesses] != nil {
			m.Unseen = append(m.Unseen, PageCache)
		}
	}
}

// look looks at what lies on the devices, and at all processes.
func (r *Reader) look(f *Facts, kernel *kernelUses) {
	start := r.opts.Now()
	wanted := map[string]string{}
	for i := range f.Mappings {
		m := &f.Mappings[i]
		state := r.devices[m.Device]
		if !state.still() {
			stack, err := r.stack(m.Device)
			f.miss(SourceMounts, err)
			state.stack = stack
			m.Uses = kernel.uses(stack)
		}
		state.looked = state.finished
		for _, d := range state.stack {
			wanted[d.name] = m.Device
			if d.number != "" {
				wanted[d.number] = m.Device
			}
			if d.mapper != "" {
				wanted["mapper/"+d.mapper] = m.Device
			}
		}
	}
	r.processes.scan(r.opts.Procfs, wanted)
	r.processes.looked = start
	r.processes.took = r.opts.Now().Sub(start)
}
