package adminsocket

// A Command is one of the commands below: read-only, cheap, and without the daemon's big lock. There is no way to
// make another, so this list is all that this project can ask a daemon through its admin socket.
type Command struct {
	prefix  string
	request string
}

// String returns the command as an administrator types it after "ceph daemon NAME".
func (c Command) String() string { return c.prefix }

func command(prefix string) Command {
	return Command{prefix: prefix, request: `{"prefix":"` + prefix + `","format":"json"}` + "\x00"}
}

// The allow-list. "status", "config show" and every dump of operations are left out on purpose: they take the
// OSD's lock, are large, or degrade a busy OSD.
var (
	// Descriptions lists the commands that the daemon knows.
	Descriptions = command("get_command_descriptions")
	// PerfDump gives the values of all perf counters. Similar to: ceph daemon osd.0 perf dump
	PerfDump = command("perf dump")
	// PerfSchema gives type, description and priority of all perf counters; it is constant while no logger comes.
	PerfSchema = command("perf schema")
	// CounterDump gives perf counters and labelled counters. From release 18 on.
	CounterDump = command("counter dump")
	// CounterSchema is the schema of CounterDump. From release 18 on.
	CounterSchema = command("counter schema")
	// HistogramDump gives the two-dimensional latency histograms of an OSD.
	HistogramDump = command("perf histogram dump")
	// HistogramSchema gives the descriptions of the histograms.
	HistogramSchema = command("perf histogram schema")
	// MonStatus gives a mon's state, quorum and monmap. Only mons know it.
	MonStatus = command("mon_status")
	// MappedPools gives the ids of the pools that have a PG on an OSD. Only OSDs know it.
	MappedPools = command("get_mapped_pools")
	// Version gives the daemon's release.
	Version = command("version")
)

// Commands returns the whole allow-list.
func Commands() []Command {
	return []Command{
		Descriptions, PerfDump, PerfSchema, CounterDump, CounterSchema,
		HistogramDump, HistogramSchema, MonStatus, MappedPools, Version,
	}
}
