package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// volumeStages makes a volume group on the device with one logical volume, with the names and tags that
// `ceph-volume lvm` gives and looks for.
func volumeStages(fsid string, osd OSD) []stage {
	return []stage{
		{
			title:   "make volume group on " + osd.Device,
			already: lvmHas("vgs", osd.volumeGroup()),
			operations: []operation{
				claim{device: osd.Device, osd: osd, fsid: fsid},
				run("vgcreate", "--yes", osd.volumeGroup(), osd.Device),
			},
		},
		{
			title:   "make logical volume on " + osd.Device,
			already: lvmHas("lvs", osd.volume()),
			operations: []operation{
				run("lvcreate", "--yes", "-l", "100%FREE", "-n", osd.logicalVolume(), osd.volumeGroup()),
			},
		},
		{
			title:      "tag " + osd.volume(),
			operations: []operation{tagVolume{osd: osd, fsid: fsid}},
		},
	}
}

// lvmHas tells whether vgs or lvs lists a name. Listing all is no error when it is not there.
func lvmHas(list, name string) func(context.Context, *Host) (bool, error) {
	field := map[string]string{"vgs": "vg_name", "lvs": "lv_full_name"}[list]
	return func(ctx context.Context, h *Host) (bool, error) {
		listed, err := h.run(ctx, list, "--noheadings", "-o", field)
		return slices.Contains(strings.Fields(string(listed)), name), err
	}
}

// tagVolume sets the tags by which ceph-volume knows the volume again.
type tagVolume struct {
	osd  OSD
	fsid string
}

func (t tagVolume) lines() []string {
	uuid := "$(lvs --noheadings -o lv_uuid " + t.osd.volume() + " | tr -d ' ')"
	return []string{strings.Replace(quote(t.argv("UUID")), "block_uuid=UUID", `block_uuid="`+uuid+`"`, 1)}
}

func (t tagVolume) do(ctx context.Context, h *Host) error {
	uuid, err := h.run(ctx, "lvs", "--noheadings", "-o", "lv_uuid", t.osd.volume())
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(uuid)) == "" {
		return fmt.Errorf("read uuid of %s: it is empty", t.osd.volume())
	}
	return run(t.argv(strings.TrimSpace(string(uuid)))...).do(ctx, h)
}

func (t tagVolume) argv(uuid string) []string {
	argv := []string{"lvchange"}
	for _, tag := range []string{
		"block_device=" + t.osd.block(),
		"block_uuid=" + uuid,
		"cephx_lockbox_secret=",
		"cluster_fsid=" + t.fsid,
		"cluster_name=ceph",
		"crush_device_class=",
		"encrypted=0",
		"osd_fsid=" + t.osd.UUID,
		"osd_id=" + t.osd.id(),
		"osdspec_affinity=",
		"type=block",
		"vdo=0",
	} {
		argv = append(argv, "--addtag", "ceph."+tag)
	}
	return append(argv, t.osd.volume())
}

// activateVolume has ceph-volume fill the data folder and enable its own unit, which does that at each boot.
func activateVolume(l layout, osd OSD) stage {
	filled := isFilled(l, osd)
	return stage{
		title: "activate " + osd.daemon().String(),
		already: func(ctx context.Context, h *Host) (bool, error) {
			done, err := filled(ctx, h)
			return done && exists(l.wanted("multi-user", osd.volumeTrigger()+".service")), err
		},
		operations: []operation{
			start{
				unit: osd.daemon().unit(),
				argv: []string{"ceph-volume", "lvm", "activate", "--bluestore", osd.id(), osd.UUID},
			},
		},
	}
}
