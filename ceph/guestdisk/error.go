package guestdisk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph"
)

// The kinds of errors that have a known cause.
const (
	CaseTools    = "disk-tools-missing"
	CaseConf     = "disk-conf-missing"
	CaseNoAnswer = "disk-no-answer"
	CaseKey      = "disk-no-key"
	CaseDenied   = "disk-denied"
	CasePool     = "disk-no-pool"
	CaseImage    = "disk-no-image"
	CaseExists   = "disk-exists"
	CaseKernel   = "disk-no-krbd"
	CaseFeatures = "disk-features"
	CaseName     = "disk-name"
	CaseBusy     = "device-in-use"
	CaseForeign  = "device-foreign"
)

// Error is why a command of Ceph's has not done what it was to do.
type Error struct {
	// Case is one of the above, or empty when the cause is unknown.
	Case string
	// Text is what is wrong, and Cure what to do about it.
	Text, Cure string
}

// Error returns what is wrong and what to do about it.
func (e *Error) Error() string {
	if e.Cure == "" {
		return e.Text
	}
	return e.Text + ": " + e.Cure
}

// Is tells whether an error is of a case.
func Is(err error, kind string) bool {
	var e *Error
	return errors.As(err, &e) && e.Case == kind
}

// explain says what the error of a command means.
func explain(d ceph.Device, err error) error {
	user := "client." + d.User
	text := Redact(err.Error())
	said := text
	code := 0
	var command interface {
		ExitCode() int
		Said() string
	}
	if errors.As(err, &command) {
		said, code = Redact(command.Said()), command.ExitCode()
	}
	switch {
	case strings.Contains(text, "executable file not found"):
		return &Error{CaseTools, "Ceph's tools are not installed", "apt-get install ceph-common"}
	case errors.Is(err, errNoAnswer), errors.Is(err, context.DeadlineExceeded), code == exitTimedOut:
		return &Error{CaseNoAnswer, "the cluster does not answer", "see \"ceph status\""}
	case errors.Is(err, context.Canceled):
		return err
	case strings.Contains(said, "unable to open config file"):
		return &Error{CaseConf, fmt.Sprintf("there is no %s", d.Conf), "name the right one by the disk parameter conf"}
	case strings.Contains(said, "(2) No such file or directory") && strings.Contains(said, "opening pool"):
		return &Error{CasePool, fmt.Sprintf("there is no pool %s", d.Image.Pool), "name the right one by the disk parameter pool, or make it: cephctl pool create " + d.Image.Pool}
	case strings.Contains(said, "couldn't connect") || strings.Contains(said, "keyring not found") || strings.Contains(said, "find a keyring"):
		return &Error{
			CaseKey, fmt.Sprintf("%s can't log in to the cluster (%s)", user, short(said)),
			"it needs its key in /etc/ceph/ceph." + user + ".keyring: cephctl storage init-distributed-storage places that of client.instances",
		}
	case strings.Contains(said, "(1) Operation not permitted"):
		return &Error{
			CaseDenied, fmt.Sprintf("%s may not use the images of pool %s", user, d.Image.Pool),
			fmt.Sprintf("see \"ceph auth get %s\", and add \"profile rbd pool=%s\" to what it has for mgr and osd by \"ceph auth caps\"", user, d.Image.Pool),
		}
	case strings.Contains(said, "(17) File exists"):
		return &Error{CaseExists, fmt.Sprintf("there is an image %s already", d.Image), "leave out its size to use it as it is, or name another"}
	case strings.Contains(said, "(2) No such file or directory") && strings.Contains(said, "opening image"):
		return &Error{CaseImage, fmt.Sprintf("there is no image %s", d.Image), "name an image that exists, or give a size to have it made"}
	}
	return &Error{Text: text}
}

// exitTimedOut is the exit status of Ceph's tools for ETIMEDOUT.
const exitTimedOut = 110

// short returns the last of several messages.
func short(said string) string {
	return strings.TrimSpace(said[strings.LastIndex(said, ";")+1:])
}
