package node

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// tagPrefix begins every tag of Ceph's.
const tagPrefix = "ceph."

// volume is what LVM has on a device: a logical volume; with an empty LV a volume group's free part; with an empty VG
// a physical volume alone.
type volume struct {
	PV, PVUUID, VG, LV string
	// Tags are those of the logical volume, or if there is none of the volume group.
	Tags map[string]string
}

func (v volume) path() string { return "/dev/" + v.VG + "/" + v.LV }

// stableDevice is the device below, by a name that it has at each boot.
func (v volume) stableDevice() string {
	real, err := filepath.EvalSymlinks(v.PV)
	if err != nil {
		return v.PV
	}
	return stableName(v.PV, real)
}

// volumes lists what LVM has on all devices: nothing where it is not installed.
func (h *Host) volumes(ctx context.Context) ([]volume, error) {
	if !exists(h.layout().pvs()) {
		return nil, nil
	}
	answer, err := h.run(ctx, "pvs", "--reportformat", "json", "-o", "pv_name,pv_uuid,vg_name,vg_tags,lv_name,lv_tags")
	if err != nil {
		return nil, err
	}
	return parseVolumes(answer)
}

// parseVolumes reads the JSON report of pvs.
func parseVolumes(answer []byte) ([]volume, error) {
	var list struct {
		Report []struct {
			PV []struct {
				PV     string `json:"pv_name"`
				PVUUID string `json:"pv_uuid"`
				VG     string `json:"vg_name"`
				VGTags string `json:"vg_tags"`
				LV     string `json:"lv_name"`
				LVTags string `json:"lv_tags"`
			} `json:"pv"`
		} `json:"report"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, fmt.Errorf("read answer of pvs: %w", err)
	}
	var found []volume
	for _, report := range list.Report {
		for _, row := range report.PV {
			tags := row.LVTags
			if row.LV == "" {
				tags = row.VGTags
			}
			found = append(found, volume{PV: row.PV, PVUUID: row.PVUUID, VG: row.VG, LV: row.LV, Tags: parseTags(tags)})
		}
	}
	return found, nil
}

// parseTags reads "ceph.osd_id=3,ceph.type=block" and leaves the prefix out.
func parseTags(text string) map[string]string {
	tags := make(map[string]string)
	for tag := range strings.SplitSeq(text, ",") {
		key, value, found := strings.Cut(tag, "=")
		if key, ours := strings.CutPrefix(key, tagPrefix); ours && found {
			tags[key] = value
		}
	}
	return tags
}

// osd returns the OSD that a volume is for, by its tags or else by our names.
func (v volume) osd() (DeviceOSD, bool) {
	uuid := v.Tags["osd_fsid"]
	switch {
	case uuid != "":
	case v.VG == "":
		uuid = uuidOfPhysical(v.PVUUID)
	case v.LV == "":
		uuid = strings.TrimPrefix(v.VG, "ceph-")
	default:
		uuid = strings.TrimPrefix(v.LV, "osd-block-")
	}
	if !uuidForm.MatchString(uuid) {
		return DeviceOSD{}, false
	}
	osd := DeviceOSD{ID: -1, UUID: uuid, FSID: v.Tags["cluster_fsid"]}
	if id, err := strconv.Atoi(v.Tags["osd_id"]); err == nil {
		osd.ID = id
	}
	if v.LV != "" {
		if found, err := readLabel(v.path()); err == nil {
			osd.Complete = sameID(found.UUID, uuid) && found.osd().Complete
		}
	}
	return osd, true
}

// uuidOfPhysical is the opposite of OSD.physicalVolume. LVM's own uuids have more kinds of letters.
func uuidOfPhysical(uuid string) string {
	digits, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(digits) != 16 {
		return ""
	}
	return formatUUID(digits)
}

// fillVolumes says what LVM has on a device, if anything: an OSD, or what is not ours.
func (h *Host) fillVolumes(ctx context.Context, facts *DeviceFacts, real string) error {
	volumes, err := h.volumes(ctx)
	if err != nil {
		return err
	}
	for _, v := range onDevice(volumes, real) {
		where, wipe := describeSignature(lvmMember), []string{quote([]string{"pvremove", facts.Path})}
		if v.VG != "" {
			where, wipe = "volume group "+v.VG, append([]string{quote([]string{"vgremove", v.VG})}, wipe...)
		}
		facts.Wipe = strings.Join(wipe, " && ")
		if osd, ok := v.osd(); ok {
			facts.OSD = &osd
			facts.Content = osd.describe() + " in " + where
			return nil
		}
		facts.Content = where
	}
	return nil
}

// onDevice returns the logical volumes on a device, or if there are none what else its volume group has there.
func onDevice(volumes []volume, real string) []volume {
	var logical, free []volume
	for _, v := range volumes {
		if pv, err := filepath.EvalSymlinks(v.PV); err != nil || pv != real {
			continue
		}
		if v.LV != "" {
			logical = append(logical, v)
		} else {
			free = append(free, v)
		}
	}
	if len(logical) > 0 {
		return logical
	}
	return free
}

// removeVolume takes away the logical volume of an OSD, and its volume group when nothing else is in it.
type removeVolume struct {
	osd  OSD
	fsid string
}

func (r removeVolume) lines() []string {
	return append(
		wipe{device: "/dev/" + r.osd.volume(), osd: r.osd, fsid: r.fsid}.lines(),
		quote([]string{"lvremove", "--yes", r.osd.volume()}),
		quote([]string{"vgremove", "--yes", r.osd.volumeGroup()}),
		quote([]string{"pvremove", "--yes", r.osd.Device}),
	)
}

func (r removeVolume) do(ctx context.Context, h *Host) error {
	volumes, err := h.volumes(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, group := range r.groups(volumes) {
		errs = append(errs, r.removeGroup(ctx, h, group, volumes))
	}
	for _, v := range volumes {
		if v.VG == "" && r.isOf(v) {
			errs = append(errs, run("pvremove", "--yes", v.PV).do(ctx, h))
		}
	}
	return errors.Join(errs...)
}

// groups returns the names of the volume groups that the OSD has something in.
func (r removeVolume) groups(volumes []volume) []string {
	var groups []string
	seen := make(map[string]bool)
	for _, v := range volumes {
		if v.VG != "" && (v.VG == r.osd.volumeGroup() || r.isOf(v)) && !seen[v.VG] {
			seen[v.VG] = true
			groups = append(groups, v.VG)
		}
	}
	return groups
}

func (r removeVolume) isOf(v volume) bool {
	osd, ok := v.osd()
	return ok && sameID(osd.UUID, r.osd.UUID) && (osd.FSID == "" || sameID(osd.FSID, r.fsid))
}

func (r removeVolume) removeGroup(ctx context.Context, h *Host, group string, volumes []volume) error {
	others := false
	devices := make(map[string]bool)
	for _, v := range volumes {
		if v.VG != group {
			continue
		}
		devices[v.PV] = true
		switch {
		case v.LV == "":
		case !r.isOf(v):
			others = true
		default:
			if err := r.removeLogical(ctx, h, v); err != nil {
				return err
			}
		}
	}
	if others {
		return nil
	}
	if _, err := h.run(ctx, "vgremove", "--yes", group); err != nil {
		return err
	}
	for device := range devices {
		if _, err := h.run(ctx, "pvremove", "--yes", device); err != nil {
			return err
		}
	}
	return nil
}

// removeLogical wipes and removes the volume: what comes into its place later must not find the label.
func (r removeVolume) removeLogical(ctx context.Context, h *Host, v volume) error {
	if err := (wipe{device: v.path(), osd: r.osd, fsid: r.fsid}).do(ctx, h); err != nil {
		return err
	}
	_, err := h.run(ctx, "lvremove", "--yes", v.VG+"/"+v.LV)
	return err
}
