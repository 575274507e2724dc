package cluster

// Metadata is what a mon, mgr, MDS or other daemon has told of itself when it started.
type Metadata struct {
	Hostname string `json:"hostname"`
	// Version is the long form: "ceph version 16.2.15 (618f…) pacific (stable)".
	Version string `json:"ceph_version"`
	// Release is the name of the release, for example "pacific".
	Release string `json:"ceph_release"`
}

// OSDMetadata is what an OSD has told of itself when it started.
type OSDMetadata struct {
	Metadata

	ObjectStore string `json:"osd_objectstore"`
	FrontIface  string `json:"front_iface"`
	BackIface   string `json:"back_iface"`
	// Device, DBDevice and WALDevice are block device nodes, for example /dev/dm-3. Device is empty or "unknown"
	// for an OSD on a file.
	Device    string `json:"bluestore_bdev_dev_node"`
	DBDevice  string `json:"bluefs_db_dev_node"`
	WALDevice string `json:"bluefs_wal_dev_node"`
	// Devices are the physical devices below, for example "sda,nvme0n1"; DeviceIDs say what they are:
	// "sda=VENDOR_MODEL_SERIAL".
	Devices   string `json:"devices"`
	DeviceIDs string `json:"device_ids"`
}

// ParseMetadata reads the answers to rados.MonMetadata, rados.MgrMetadata and rados.MDSMetadata: by name.
func ParseMetadata(data []byte) (map[string]Metadata, error) {
	var answer []struct {
		Name string `json:"name"`
		Metadata
	}
	if err := decode(data, &answer); err != nil {
		return nil, err
	}
	byName := make(map[string]Metadata, len(answer))
	for _, m := range answer {
		byName[m.Name] = m.Metadata
	}
	return byName, nil
}

// ParseOSDMetadata reads the answer to rados.OSDMetadata: by id. OSDs that have never started are left out.
func ParseOSDMetadata(data []byte) (map[int]OSDMetadata, error) {
	var answer []struct {
		ID int `json:"id"`
		OSDMetadata
	}
	if err := decode(data, &answer); err != nil {
		return nil, err
	}
	byID := make(map[int]OSDMetadata, len(answer))
	for _, m := range answer {
		if m.Version != "" {
			byID[m.ID] = m.OSDMetadata
		}
	}
	return byID, nil
}
