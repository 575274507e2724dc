package node

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	uuidForm    = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	nameForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	keyringForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*\.keyring$`)
)

// check refuses an object that can't be carried out. Its names become parts of paths, units and command lines.
func (o Object) check() error {
	errs := []error{checkUUID("fsid", o.FSID)}
	if conf := parseConf([]byte(o.Conf)); !sameID(conf.FSID, o.FSID) {
		errs = append(errs, fmt.Errorf("ceph.conf names fsid %q, not %q", conf.FSID, o.FSID))
	}
	for name := range o.Keyrings {
		if !keyringForm.MatchString(name) {
			errs = append(errs, fmt.Errorf("%q is not a name of a keyring", name))
		}
	}
	for _, role := range o.Roles {
		errs = append(errs, o.checkRole(role))
	}
	return errors.Join(errs...)
}

func (o Object) checkRole(role string) error {
	if role != RoleOSD && !nameForm.MatchString(o.Name) {
		return fmt.Errorf("%q is not a name of a %s", o.Name, role)
	}
	switch role {
	case RoleMon:
		if o.Mon == nil || o.Mon.Keyring == "" || o.Mon.Addresses == "" {
			return errors.New("the mon's addresses or keyring are missing")
		}
	case RoleMgr:
		if o.MgrKeyring == "" {
			return errors.New("the mgr's keyring is missing")
		}
	case RoleOSD:
		var errs []error
		for _, osd := range o.OSDs {
			errs = append(errs, osd.check())
		}
		return errors.Join(errs...)
	default:
		return fmt.Errorf("%q is not a role", role)
	}
	return nil
}

func (o OSD) check() error {
	if err := o.checkDevice(); err != nil {
		return err
	}
	switch {
	case o.ID < 0:
		return fmt.Errorf("the OSD on %s has no number", o.Device)
	case o.Secret == "" || strings.ContainsAny(o.Secret, " \n\t"):
		return fmt.Errorf("osd.%d: the key is missing or malformed", o.ID)
	case o.Backend == BackendFile && o.SizeBytes <= 0:
		return fmt.Errorf("osd.%d: the size of %s is missing", o.ID, o.Device)
	}
	return checkUUID("uuid of osd."+o.id(), o.UUID)
}

func (o OSD) checkDevice() error {
	backends := []string{BackendLVM, BackendRaw, BackendFile}
	switch {
	case !slices.Contains(backends, o.Backend):
		return fmt.Errorf("osd.%s: %q is not a backend: use one of %s", o.id(), o.Backend, strings.Join(backends, ", "))
	case !filepath.IsAbs(o.Device):
		return fmt.Errorf("osd.%s: %q is not an absolute path", o.id(), o.Device)
	}
	return nil
}

func checkUUID(what, id string) error {
	if !uuidForm.MatchString(id) {
		return fmt.Errorf("%s: %q is not a UUID", what, id)
	}
	return nil
}

// check refuses what names no daemon: it becomes part of paths and units.
func (d Daemon) check() error {
	switch d.Role {
	case RoleMon, RoleMgr:
		if nameForm.MatchString(d.ID) {
			return nil
		}
	case RoleOSD:
		if id, err := strconv.Atoi(d.ID); err == nil && id >= 0 && strconv.Itoa(id) == d.ID {
			return nil
		}
	}
	return fmt.Errorf("%q is not a daemon", d)
}

func sameID(a, b string) bool { return strings.EqualFold(a, b) }
