// Package agent is both ends of the conversation between the master and a node: one JSON request on the standard
// input of `cephctl node-agent`, then JSON events on its standard output, a line each, of which the last is a result
// or an error.
package agent

import "encoding/json"

// Protocol is the version of the conversation. It changes when an older agent would misunderstand.
const Protocol = 1

// Request is what the master asks of a node. Its payload may hold secrets, so it travels on standard input only.
type Request struct {
	Protocol int `json:"protocol"`
	// Version is that of the cephctl that asks.
	Version string `json:"version"`
	// Storage is the storage type that is to do it, or the part of cephctl where that makes no difference.
	Storage string `json:"storage_type,omitempty"`
	// Action is for example "observe".
	Action  string          `json:"action"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// The kinds of events.
const (
	// KindHello comes first, and tells who answers.
	KindHello = "hello"
	// KindRun tells of a command that is being run, for the log. It holds no secrets.
	KindRun = "run"
	// KindProgress tells a person what takes its time.
	KindProgress = "progress"
	// KindResult comes last: it was done.
	KindResult = "result"
	// KindError comes last: it was not done.
	KindError = "error"
)

// Event is a line of what a node answers.
type Event struct {
	Kind string `json:"kind"`
	// Text is the command, the progress or the error.
	Text string `json:"text,omitempty"`
	// Version, Protocol and Host are set in hello.
	Version  string `json:"version,omitempty"`
	Protocol int    `json:"protocol,omitempty"`
	Host     string `json:"host,omitempty"`
	// Data is set in result.
	Data json.RawMessage `json:"data,omitempty"`
}
