package loopback

import (
	"strconv"
	"strings"
	"time"
)

// deviceState is what is kept of a device from one reading to the next.
type deviceState struct {
	folder uint64 // of the image: another image on the same device is another device
	deviceStat
	looked string // finished, as it was at the last look at processes
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
	stat, ok := parseStat(text)
	if err != nil || !ok {
		stat = deviceStat{} // nothing is known of it, so that it counts as one that moves
	}
	if stat.finished != state.finished || stat.inFlight == 0 {
		state.moved = r.opts.Now()
	}
	state.deviceStat, m.Untouched = stat, stat.untouched
	return state
}

// still tells whether the device has finished nothing since the last look.
func (s *deviceState) still() bool { return s.finished != "" && s.finished == s.looked }

// deviceStat is what the kernel counts of a block device.
type deviceStat struct {
	// finished tells, compared with another one, whether requests were finished in between.
	finished string
	// untouched is true when nothing was ever written or discarded.
	untouched bool
	inFlight  int
}

// parseStat takes /sys/block/DEVICE/stat. ok is false for any other text.
func parseStat(text string) (s deviceStat, ok bool) {
	fields := strings.Fields(text)
	const reads, writes, flight, discards, flushes = 0, 4, 8, 11, 15
	if len(fields) <= flight {
		return deviceStat{}, false
	}
	inFlight, err := strconv.Atoi(fields[flight])
	if err != nil || inFlight < 0 {
		return deviceStat{}, false
	}
	s = deviceStat{finished: fields[reads] + " " + fields[writes], inFlight: inFlight}
	s.untouched = fields[writes] == "0" && inFlight == 0
	if len(fields) > discards { // later kernels
		s.finished += " " + fields[discards]
		s.untouched = s.untouched && fields[discards] == "0"
	}
	if len(fields) > flushes {
		s.finished += " " + fields[flushes]
	}
	return s, true
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
	loops := r.loops()
	for i := range f.Mappings {
		m := &f.Mappings[i]
		state := r.devices[m.Device]
		if !state.still() {
			stack, err := r.stack(m.Device, loops)
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
