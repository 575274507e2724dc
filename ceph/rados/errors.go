package rados

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

var (
	errMonSilent = errors.New("no mon answered: check that the mons have quorum")
	errMgrSilent = errors.New("no mgr answered: check that one is active")
)

// errno returns the error number of a librados error, 0 when it is none.
func errno(err error) syscall.Errno {
	var coded interface{ ErrorCode() int }
	if !errors.As(err, &coded) {
		return 0
	}
	return syscall.Errno(-coded.ErrorCode())
}

// broken tells whether a connection that gave err must be made anew.
func broken(err error) bool {
	switch errno(err) {
	case syscall.ESHUTDOWN, syscall.ENOTCONN:
		return true
	case syscall.EACCES, syscall.EPERM: // caps are read when a session begins
		return true
	}
	return errors.Is(err, errMonSilent) // librados itself waits longer and longer before it tries another mon
}

// connectError adds the next step to an error of connecting. keyrings are the files that librados looks for.
func connectError(err error, opts Options, keyrings []string) error {
	who := "connect as client." + opts.User
	if timedOut(err) {
		return fmt.Errorf("%s: no mon answers: check that a majority of them runs and that mon host in %s is right: %w",
			who, opts.Config, err)
	}
	switch errno(err) {
	case syscall.ENOENT, syscall.EACCES, syscall.EPERM, syscall.EIO, syscall.EINVAL:
		return fmt.Errorf("%s: %s: %w", who, keyProblem(keyrings, opts.User), err)
	}
	return fmt.Errorf("%s: %w", who, err)
}

// callError adds the next step to an error of a call.
func callError(err error, opts Options) error {
	switch errno(err) {
	case syscall.EACCES, syscall.EPERM:
		return fmt.Errorf("client.%s lacks the caps: compare ceph auth get client.%s with docs/security.md: %w",
			opts.User, opts.User, err)
	}
	return err
}

func timedOut(err error) bool {
	return errno(err) == syscall.ETIMEDOUT || errors.Is(err, context.DeadlineExceeded)
}
