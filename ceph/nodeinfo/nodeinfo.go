// Package nodeinfo is the file node.json, in which cephctl says on a node what the node is.
package nodeinfo

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"
)

// Name is the name of the file, in the folder of cephctl's state.
const Name = "node.json"

// maxSize bounds what is read. The file has some 300 bytes.
const maxSize = 64 << 10

// Info is what a node is. It holds no secrets.
type Info struct {
	// Cluster is the name of the cluster that the inventory describes, Node and Group those of the node and its group.
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	Group   string `json:"group"`
	// Storage is the storage type that the node is enabled for, FSID the id of its storage cluster.
	Storage string `json:"storage"`
	FSID    string `json:"fsid"`
	// Roles are what the node runs, for example "mon" and "osd".
	Roles []string `json:"roles"`
	// Time is when this was written.
	Time time.Time `json:"time"`
}

// Read reads the file. Its error wraps fs.ErrNotExist where cephctl has said nothing.
func Read(path string) (Info, error) {
	file, err := os.Open(path)
	if err != nil {
		return Info{}, fmt.Errorf("read node info: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSize))
	if err != nil {
		return Info{}, fmt.Errorf("read node info: %w", err)
	}
	info, err := Parse(content)
	if err != nil {
		return Info{}, fmt.Errorf("read node info %s: %w", path, err)
	}
	return info, nil
}

// Parse reads the content of the file.
func Parse(content []byte) (Info, error) {
	var info Info
	if err := json.Unmarshal(content, &info); err != nil {
		return Info{}, fmt.Errorf("decode JSON: %w", err)
	}
	if info.Node == "" || info.Time.IsZero() {
		return Info{}, fmt.Errorf("no node or time in it")
	}
	return info, nil
}
