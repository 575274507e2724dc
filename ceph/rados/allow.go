package rados

// Server is who answers a command.
type Server string

// Mon commands are answered while the mons have quorum, Mgr commands also need an active mgr.
const (
	Mon Server = "mon"
	Mgr Server = "mgr"
)

// Commands lists every mon and mgr command that this project's exporter may run, with who answers it. All are
// read-only and go with the caps mon 'allow r' mgr 'allow r'.
func Commands() map[string]Server {
	return map[string]Server{
		"status":                  Mon,
		"health":                  Mon,
		"df":                      Mon,
		"osd dump":                Mon,
		"osd metadata":            Mon,
		"mon metadata":            Mon,
		"mgr dump":                Mon,
		"mgr metadata":            Mon,
		"mgr module ls":           Mon,
		"osd df":                  Mgr,
		"osd perf":                Mgr,
		"osd pool stats":          Mgr,
		"pg dump":                 Mgr,
		"rbd perf image counters": Mgr,
	}
}
