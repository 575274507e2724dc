package node

import _ "embed"

// activationUnit fills an OSD's data folder at each boot.
//
//go:embed cephctl-osd@.service
var activationUnit []byte

// needActivation has the OSD's own unit wait for it.
const needActivation = `# Written by cephctl. The data folder is a tmpfs: it is empty after a boot.
[Unit]
Requires=cephctl-osd@%i.service
After=cephctl-osd@%i.service
`

// activateRaw has systemd fill the data folder, now and at each boot.
func activateRaw(l layout, osd OSD) []stage {
	id := osd.id()
	return []stage{
		{
			title: "set up activation of " + osd.daemon().String(),
			operations: []operation{
				makeDir{path: l.etcCephctl(), mode: 0o755, owner: rootUser},
				makeDir{path: l.osdSettings(), mode: 0o755, owner: rootUser},
				writeFile{
					path: l.osdSetting(id), content: []byte("OSD_UUID=" + osd.UUID + "\n"), mode: 0o644, owner: rootUser,
				},
				makeDir{path: l.dropInDir(id), mode: 0o755, owner: rootUser},
				writeFile{path: l.dropIn(id), content: []byte(needActivation), mode: 0o644, owner: rootUser},
				writeFile{path: l.activationUnit(), content: activationUnit, mode: 0o644, owner: rootUser},
				run("systemctl", "daemon-reload"),
			},
		},
		{
			title:   "activate " + osd.daemon().String(),
			already: isFilled(l, osd),
			operations: []operation{
				start{unit: activation(id), argv: []string{"systemctl", "restart", activation(id)}},
			},
		},
	}
}
