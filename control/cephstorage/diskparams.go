package cephstorage

import (
	"errors"
	"path/filepath"
	"regexp"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// TemplateName is the name of the disk template, as in Ganeti.
const TemplateName = "rbd"

// The disk parameters.
const (
	ParamAccess    = "access"
	ParamPool      = "pool"
	ParamNamespace = "namespace"
	ParamUser      = "user"
	ParamConf      = "conf"
	ParamCache     = "cache"
	ParamDiscard   = "discard"
)

// Template is the disk template: RBD images.
type Template struct {
	// Pool is the default of the disk parameter.
	Pool string
}

var _ control.DiskTemplate = Template{}

// Disks implements control.StorageType.
func (t Type) Disks(cluster control.Values) control.DiskTemplate {
	get := control.Getter(control.Resolve(t, cluster, nil))
	return Template{Pool: get(OptionPool)[0]}
}

// Name implements control.DiskTemplate.
func (Template) Name() string { return TemplateName }

// Options implements control.DiskTemplate.
func (t Template) Options() []control.Option {
	return []control.Option{
		{Name: ParamAccess, Default: string(ceph.Userspace), Check: oneOf(string(ceph.Userspace), string(ceph.Kernelspace)), Help: "who does the I/O: userspace is librbd in QEMU, kernelspace a block device that the kernel maps"},
		{Name: ParamPool, Default: t.Pool, Fixed: true, Check: checkPool, Help: "pool of the images"},
		{Name: ParamNamespace, Fixed: true, Check: checkWord, Help: "namespace of the pool"},
		{Name: ParamUser, Default: "instances", Check: checkWord, Help: "who QEMU is to the cluster, without \"client.\""},
		{Name: ParamConf, Default: defaultConfig, Check: checkPath, Help: "ceph.conf that QEMU reads"},
		{Name: ParamCache, Default: "writeback", Check: oneOf("none", "writeback", "writethrough"), Help: "cache mode: none, writeback or writethrough"},
		{Name: ParamDiscard, Default: "unmap", Check: oneOf("unmap", "ignore"), Help: "what becomes of the guest's discards: unmap or ignore"},
	}
}

// word is what may stand in a name of Ceph's and needs no escape anywhere.
var word = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$`)

func checkWord(value string) error {
	if !word.MatchString(value) {
		return errors.New("want letters, digits, and _ . - in it, 64 at most, no . at the beginning")
	}
	return nil
}

func checkPath(value string) error {
	if !filepath.IsAbs(value) {
		return errors.New("want an absolute path, for example " + defaultConfig)
	}
	return nil
}
