package cephstorage

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// The options of the storage type.
const (
	OptionDisk            = "disk"
	OptionMons            = "mons"
	OptionPublicNetwork   = "public_network"
	OptionClusterNetwork  = "cluster_network"
	OptionOSDBackend      = "osd_backend"
	OptionOSDFileSize     = "osd_file_size"
	OptionSize            = "size"
	OptionMinSize         = "min_size"
	OptionOSDMemoryTarget = "osd_memory_target"
	OptionHostReserve     = "host_reserve"
	OptionPool            = "pool"
)

// minMemoryTarget is the least osd_memory_target that Ceph takes.
const minMemoryTarget = 896 << 20

// Type is the storage type.
type Type struct{}

var _ control.StorageType = Type{}

// Name implements control.StorageType.
func (Type) Name() string { return Name }

// Options implements control.StorageType.
func (Type) Options() []control.Option {
	return []control.Option{
		{Name: OptionDisk, Repeat: true, PerNode: true, Grows: true, Check: checkDisk, Help: "device that becomes an OSD on each node, as an absolute path"},
		{Name: OptionMons, Default: "3", Check: checkMons, Help: "how many mons there are once there are enough nodes: an odd number"},
		{Name: OptionPublicNetwork, Check: checkNetwork, Help: "network of mons and clients, for example 10.0.0.0/24; that of the nodes' addresses when not given"},
		{Name: OptionClusterNetwork, Check: checkNetwork, Help: "network of the OSDs among themselves; public_network when not given"},
		{Name: OptionOSDBackend, Default: "lvm", PerNode: true, Check: oneOf("lvm", "raw", "file"), Help: "how a disk is used: lvm, raw, or file for labs"},
		{Name: OptionOSDFileSize, Default: "10G", PerNode: true, Check: checkBytes(1 << 30), Help: "size of each OSD's file, with osd_backend=file only"},
		{Name: OptionSize, Default: "3", Check: checkRange(1, 10), Help: "copies of everything that is stored"},
		{Name: OptionMinSize, Derive: deriveMinSize, Check: checkRange(1, 10), Help: "copies without which nothing is written (default more than half of size)"},
		{Name: OptionOSDMemoryTarget, Default: "4G", PerNode: true, Check: checkBytes(minMemoryTarget), Help: "memory that each OSD aims at"},
		{Name: OptionHostReserve, Default: "2G", PerNode: true, Check: checkBytes(0), Help: "memory that a node keeps for itself"},
		{Name: OptionPool, Default: "rbd", Check: checkPool, Help: "pool of the instances' disks"},
	}
}

// CheckTogether implements control.StorageType.
func (Type) CheckTogether(values []control.OptionValue) error {
	get := control.Getter(values)
	var wrong []error
	size, minSize := number(get(OptionSize)), number(get(OptionMinSize))
	if minSize > size {
		wrong = append(wrong, fmt.Errorf("min_size=%d: want %d at most, which is size", minSize, size))
	}
	for _, v := range values {
		if v.Name == OptionOSDFileSize && v.Source != control.SourceDefault && !slices.Contains(get(OptionOSDBackend), "file") {
			wrong = append(wrong, fmt.Errorf("osd_file_size=%s: it goes with osd_backend=file only", v.Values[0]))
		}
	}
	return errors.Join(wrong...)
}

// number returns the number that an option has, which was checked before.
func number(values []string) int {
	n, err := strconv.Atoi(strings.Join(values, ""))
	if err != nil {
		return 0
	}
	return n
}

func deriveMinSize(get func(string) []string) string {
	return strconv.Itoa(number(get(OptionSize))/2 + 1)
}

func checkDisk(value string) error {
	if !filepath.IsAbs(value) || filepath.Clean(value) != value || value == "/" {
		return errors.New("want an absolute path, for example /dev/sdb or /dev/disk/by-id/…")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' }) {
		return errors.New("want a path without blanks")
	}
	return nil
}

func checkMons(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n < 1 || n > 9 || n%2 == 0 {
		return errors.New("want an odd number from 1 to 9")
	}
	return nil
}

func checkNetwork(value string) error {
	p, err := netip.ParsePrefix(value)
	if err != nil {
		return errors.New("want an address and the length of its prefix, for example 10.0.0.0/24")
	}
	if p != p.Masked() {
		return fmt.Errorf("want the address of the network, which is %s", p.Masked())
	}
	return nil
}

func oneOf(words ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(words, value) {
			return fmt.Errorf("want one of %s", strings.Join(words, ", "))
		}
		return nil
	}
}

func checkRange(low, high int) func(string) error {
	return func(value string) error {
		if n, err := strconv.Atoi(value); err != nil || n < low || n > high {
			return fmt.Errorf("want a whole number from %d to %d", low, high)
		}
		return nil
	}
}

func checkBytes(least int64) func(string) error {
	return func(value string) error {
		n, err := ParseBytes(value)
		switch {
		case err != nil:
			return err
		case n < least:
			return fmt.Errorf("want %dM at least", least>>20)
		}
		return nil
	}
}

// poolName is what a pool may be called: Ceph takes more, but not all that Ganeti's disk parameters and KVM device
// paths can carry.
var poolName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$`)

func checkPool(value string) error {
	if !poolName.MatchString(value) {
		return errors.New("want letters, digits, and _ . - in it, 64 at most, no . at the beginning")
	}
	return nil
}

// ParseBytes parses a number of bytes with one of the suffixes K, M, G and T, powers of 1024, or none.
func ParseBytes(text string) (int64, error) {
	digits := strings.TrimRight(text, "KMGT")
	shift := 10 * (1 + strings.Index("KMGT", strings.TrimPrefix(text, digits)))
	if digits == text {
		shift = 0
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || len(text)-len(digits) > 1 || n > (1<<62)>>shift {
		return 0, errors.New("want a number of bytes with K, M, G or T, for example 4G")
	}
	return n << shift, nil
}
