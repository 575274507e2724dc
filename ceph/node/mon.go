package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// monStages makes the mon in a folder that gets its name when it is complete, and starts it.
func monStages(l layout, obj Object) []stage {
	mon := Daemon{Role: RoleMon, ID: obj.Name}
	scratch, data := l.scratch(mon), l.data(mon)
	unfinished := data + ".new"
	monmap, keyring := filepath.Join(scratch, "monmap"), filepath.Join(scratch, "keyring")

	operations := []operation{
		remove{path: scratch},
		makeDir{path: scratch, mode: 0o700, owner: cephUser},
		writeFile{path: keyring, content: []byte(obj.Mon.Keyring), mode: 0o600, owner: cephUser},
	}
	operations = append(operations, monmapOperations(obj, monmap)...)
	operations = append(operations,
		give{path: monmap},
		remove{path: unfinished},
		makeDir{path: unfinished, mode: 0o750, owner: cephUser},
		run("ceph-mon", "--cluster", "ceph", "--mkfs", "-i", obj.Name, "--fsid", obj.FSID, "--monmap", monmap,
			"--keyring", keyring, "--mon-data", unfinished, "--setuser", cephUser, "--setgroup", cephUser),
		clusterMark(unfinished, obj.FSID),
		rename{from: unfinished, to: data},
	)
	return []stage{
		{
			title: "make " + mon.String(), already: monIsMade(data, obj.FSID), operations: operations,
			finally: []operation{remove{path: scratch}},
		},
		startStage(l, mon, obj.FSID, enabled),
	}
}

// monmapOperations writes the map that the mon begins with: a new cluster's, or the running one's with this mon in
// it, because a mon takes its own addresses from there.
func monmapOperations(obj Object, monmap string) []operation {
	if len(obj.Mon.Monmap) == 0 {
		return []operation{
			run("monmaptool", "--create", "--fsid", obj.FSID, "--addv", obj.Name, obj.Mon.Addresses, monmap),
		}
	}
	return []operation{
		writeFile{path: monmap, content: obj.Mon.Monmap, mode: 0o600, owner: cephUser},
		addToMonmap{name: obj.Name, addresses: obj.Mon.Addresses, path: monmap},
	}
}

// addToMonmap adds the mon to a map that does not have it.
type addToMonmap struct{ name, addresses, path string }

func (a addToMonmap) command() command {
	return run("monmaptool", "--addv", a.name, a.addresses, a.path)
}

func (a addToMonmap) lines() []string { return a.command().lines() }

func (a addToMonmap) do(ctx context.Context, h *Host) error {
	printed, err := h.run(ctx, "monmaptool", "--print", a.path)
	if err != nil {
		return err
	}
	if monmapNames(printed, a.name) {
		return nil
	}
	return a.command().do(ctx, h)
}

// monmapNames tells whether `monmaptool --print` has a line "0: [v2:10.0.0.1:3300/0,...] mon.NAME".
func monmapNames(printed []byte, name string) bool {
	for line := range strings.Lines(string(printed)) {
		if strings.HasSuffix(strings.TrimSpace(line), "] mon."+name) {
			return true
		}
	}
	return false
}

// monIsMade refuses the folder of another cluster's mon.
func monIsMade(data, fsid string) func(context.Context, *Host) (bool, error) {
	return func(context.Context, *Host) (bool, error) {
		if err := checkMark(data, fsid); err != nil {
			return false, err
		}
		return isMadeMon(data), nil
	}
}

func isMadeMon(data string) bool { return isDir(filepath.Join(data, "store.db")) }

// markFile says of which cluster a data folder is. OSDs have it from Ceph; for mons and mgrs we write it.
const markFile = "ceph_fsid"

func clusterMark(data, fsid string) writeFile {
	return writeFile{path: filepath.Join(data, markFile), content: []byte(fsid + "\n"), mode: 0o600, owner: cephUser}
}

func readMark(data string) string {
	content, err := os.ReadFile(filepath.Join(data, markFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// checkMark refuses a data folder that says that it is another cluster's.
func checkMark(data, fsid string) error {
	if found := readMark(data); found != "" && !sameID(found, fsid) {
		return fmt.Errorf("%s is of cluster %s, not %s", data, found, fsid)
	}
	return nil
}
