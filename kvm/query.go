package kvm

// A Query is one of the QMP commands below: they change nothing and QEMU answers them in well under a
// millisecond. There is no way to make another, so this list is all that this project can ask a guest for metrics.
type Query struct {
	name string
	line []byte
}

// String returns the name of the command.
func (q Query) String() string { return q.name }

func query(name string) Query {
	return Query{name: name, line: []byte(`{"execute":"` + name + `"}` + "\n")}
}

// The allow-list.
var (
	// QueryStatus gives the run state of the guest.
	QueryStatus = query("query-status")
	// QueryBlockStats gives the I/O counters of every disk.
	QueryBlockStats = query("query-blockstats")
	// QueryBlock gives what each disk is. It lists the snapshots of an image, for which librbd may have to ask
	// the cluster while QEMU's main loop waits: so it is not for every scrape.
	QueryBlock = query("query-block")
)

// Queries returns the whole allow-list.
func Queries() []Query { return []Query{QueryStatus, QueryBlockStats, QueryBlock} }

// capabilities ends the negotiation that a monitor begins with.
var capabilities = query("qmp_capabilities")
