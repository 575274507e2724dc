package node

import (
	"context"
	"fmt"
	"path/filepath"
)

// mgrStages makes the mgr and starts it. All that it has is a key.
func mgrStages(l layout, obj Object) []stage {
	mgr := Daemon{Role: RoleMgr, ID: obj.Name}
	data := l.data(mgr)
	return []stage{
		{
			title: "make " + mgr.String(),
			operations: []operation{
				checkData{path: data, fsid: obj.FSID},
				makeDir{path: data, mode: 0o750, owner: cephUser},
				clusterMark(data, obj.FSID),
				writeFile{
					path: filepath.Join(data, "keyring"), content: []byte(obj.MgrKeyring), mode: 0o600, owner: cephUser,
				},
			},
		},
		startStage(l, mgr, obj.FSID, enabled),
	}
}

// checkData refuses a data folder of another cluster.
type checkData struct{ path, fsid string }

func (c checkData) lines() []string {
	return []string{fmt.Sprintf("check that %s is absent or of cluster %s", c.path, c.fsid)}
}

func (c checkData) do(context.Context, *Host) error { return checkMark(c.path, c.fsid) }
