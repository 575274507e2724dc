package kvm

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Program is the QEMU that is run.
const Program = "qemu-system-x86_64"

// CommandLine returns how QEMU is started for a guest: daemonised, with the given accelerators, of which it takes the first
// that works, and with nothing in it that was not asked for.
func (d Dir) CommandLine(c *Config, accels ...string) ([]string, error) {
	ctrl := func(suffix string) string { return "unix:" + comma(d.ctrl(c.Instance, suffix)) + ",server=on,wait=off" }
	argv := []string{
		Program, "-name", "guest=" + c.Instance, "-uuid", c.UUID,
		"-m", strconv.FormatInt(c.MemoryMiB, 10), "-smp", strconv.Itoa(c.VCPUs),
		"-pidfile", d.PIDFile(c.Instance), "-daemonize",
		"-machine", "pc", "-nodefaults", "-no-user-config", "-display", "none",
		"-monitor", ctrl(suffixMonitor), "-qmp", ctrl(suffixQMP), "-qmp", ctrl(suffixKVMD), "-serial", ctrl(suffixSerial),
		"-device", "virtio-balloon",
	}
	for _, accel := range accels {
		argv = append(argv, "-accel", accel)
	}
	for i := range c.Drives {
		words, err := c.Drives[i].words(i)
		if err != nil {
			return nil, err
		}
		argv = append(argv, words...)
	}
	for i := range c.NICs {
		argv = append(argv, c.NICs[i].words()...)
	}
	return argv, nil
}

// words are those of a disk. The node on top is ours: it has the name, the cache and what becomes of discards.
func (d *Drive) words(index int) ([]string, error) {
	node := struct {
		Driver  string          `json:"driver"`
		Name    string          `json:"node-name"`
		Discard string          `json:"discard"`
		Cache   map[string]bool `json:"cache"`
		File    json.RawMessage `json:"file"`
	}{
		Driver: "raw", Name: d.DeviceID(), Discard: "ignore", File: d.Blockdev,
		Cache: map[string]bool{"direct": d.Cache == "none", "no-flush": false},
	}
	if d.Discard {
		node.Discard = "unmap"
	}
	blockdev, err := json.Marshal(node)
	if err != nil {
		return nil, fmt.Errorf("encode disk %d: %w", index, err)
	}
	writeCache := "on"
	if d.Cache == "writethrough" {
		writeCache = "off"
	}
	return []string{"-blockdev", string(blockdev), "-device", fmt.Sprintf(
		"virtio-blk-pci,drive=%s,id=%[1]s,bootindex=%d,write-cache=%s", d.DeviceID(), index, writeCache)}, nil
}

func (n *NIC) words() []string {
	netdev := "user,id=" + n.DeviceID()
	if n.Mode == ModeBridged {
		netdev = "tap,id=" + n.DeviceID() + ",ifname=" + n.Tap() + ",script=no,downscript=no"
	}
	return []string{"-netdev", netdev, "-device", "virtio-net-pci,netdev=" + n.DeviceID() + ",id=" + n.DeviceID() + ",mac=" + n.MAC}
}

// comma doubles the commas of a value that stands in a list of options.
func comma(value string) string { return strings.ReplaceAll(value, ",", ",,") }
