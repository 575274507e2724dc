package node

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// volumeStages makes a volume group on the device with one logical volume, with the names and tags that
// `ceph-volume lvm` gives and looks for. Whatever is made says from its beginning which OSD it is for, so that what a
// broken off attempt has left is known as ours.
func volumeStages(fsid string, osd OSD) []stage {
	return []stage{
		{
			title:   "make physical volume on " + osd.Device,
			already: hasPhysicalVolume(osd),
			operations: []operation{
				claim{device: osd.Device, osd: osd, fsid: fsid},
				run("pvcreate", "--yes", "--norestorefile", "--uuid", osd.physicalVolume(), osd.Device),
			},
		},
		{
			title:   "make volume group on " + osd.Device,
			already: lvmHas("vgs", osd.volumeGroup()),
			operations: []operation{
				run(withTags([]string{"vgcreate", "--yes"}, groupTags(fsid, osd), osd.volumeGroup(), osd.Device)...),
			},
		},
		{
			title:   "make logical volume on " + osd.Device,
			already: lvmHas("lvs", osd.volume()),
			operations: []operation{
				run(withTags([]string{"lvcreate", "--yes", "-l", "100%FREE", "-n", osd.logicalVolume()}, volumeTags(fsid, osd), osd.volumeGroup())...),
			},
		},
		{
			title: "activate " + osd.volume(),
			operations: []operation{
				// A lvcreate that was killed may have made one that is not active.
				run("lvchange", "--activate", "y", osd.volume()),
				tagVolume{osd: osd},
			},
		},
	}
}

// hasPhysicalVolume tells whether the OSD has a physical volume, in its volume group or not yet.
func hasPhysicalVolume(osd OSD) func(context.Context, *Host) (bool, error) {
	return func(ctx context.Context, h *Host) (bool, error) {
		volumes, err := h.volumes(ctx)
		return slices.ContainsFunc(volumes, func(v volume) bool {
			return v.PVUUID == osd.physicalVolume() || v.VG == osd.volumeGroup()
		}), err
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

// withTags adds tags to a command of LVM's, and the names that it ends with.
func withTags(argv, tags []string, names ...string) []string {
	for _, tag := range tags {
		argv = append(argv, "--addtag", tagPrefix+tag)
	}
	return append(argv, names...)
}

// groupTags say whose a volume group is while it has no volume.
func groupTags(fsid string, osd OSD) []string {
	return []string{"cluster_fsid=" + fsid, "osd_fsid=" + osd.UUID, "osd_id=" + osd.id()}
}

// volumeTags are those by which ceph-volume knows the volume again, but for its own uuid, which nobody knows before.
func volumeTags(fsid string, osd OSD) []string {
	return []string{
		"block_device=" + osd.block(),
		"cephx_lockbox_secret=",
		"cluster_fsid=" + fsid,
		"cluster_name=ceph",
		"crush_device_class=",
		"encrypted=0",
		"osd_fsid=" + osd.UUID,
		"osd_id=" + osd.id(),
		"osdspec_affinity=",
		"type=block",
		"vdo=0",
	}
}

// tagVolume sets the one tag that a volume can't be made with.
type tagVolume struct{ osd OSD }

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
	return withTags([]string{"lvchange"}, []string{"block_uuid=" + uuid}, t.osd.volume())
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
			activateNow(osd),
		},
	}
}

// activateNow also starts the OSD.
func activateNow(osd OSD) start {
	return start{
		unit: osd.daemon().unit(), argv: []string{"ceph-volume", "lvm", "activate", "--bluestore", osd.id(), osd.UUID},
	}
}
