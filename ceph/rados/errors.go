package rados

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// ErrNoConnection is in every error of a call for which there is no connection to the cluster.
var ErrNoConnection = errors.New("no connection to the cluster")

// ErrNoAnswer is in the error of a command that nobody has answered in time.
var ErrNoAnswer = errors.New("no answer in time")

// Errno returns the error number that the cluster has answered with, as librados and librbd hand it on; 0 when it has none. That of
// an attempt to connect is none: what is not there then is a keyring, not what was asked for.
func Errno(err error) syscall.Errno {
	if errors.Is(err, ErrNoConnection) {
		return 0
	}
	var coded interface{ ErrorCode() int }
	if !errors.As(err, &coded) {
		return 0
	}
	return syscall.Errno(-coded.ErrorCode())
}

// broken tells whether a connection that gave err is of no use any more.
func broken(err error) bool {
	number := Errno(err)
	return number == syscall.ESHUTDOWN || number == syscall.ENOTCONN
}

// denied tells whether the user's caps do not suffice, as they were when the connection was made.
func denied(err error) bool {
	number := Errno(err)
	return number == syscall.EACCES || number == syscall.EPERM
}

// connectError adds the next step to an error of connecting. keyrings are the files that librados looks for.
func connectError(err error, opts Options, keyrings []string) error {
	if problem := connectProblem(err, opts, keyrings); problem != "" {
		err = fmt.Errorf("%s: %w", problem, err)
	}
	return fmt.Errorf("%w as client.%s: %w", ErrNoConnection, opts.User, err)
}

func connectProblem(err error, opts Options, keyrings []string) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return noMon(opts)
	}
	switch Errno(err) {
	case syscall.ETIMEDOUT:
		return noMon(opts)
	case syscall.ENOENT, syscall.EACCES, syscall.EPERM:
		return keyProblem(keyrings, opts.User, false)
	case syscall.EIO, syscall.EINVAL:
		return keyProblem(keyrings, opts.User, true)
	}
	return ""
}

func noMon(opts Options) string {
	return "no mon answers: check that a majority of them runs and that mon host in " + opts.Config + " is right"
}

// callError adds the next step to an error of a call.
func callError(err error, opts Options) error {
	if denied(err) {
		return fmt.Errorf("client.%s lacks the caps: compare ceph auth get client.%s with docs/security.md: %w",
			opts.User, opts.User, err)
	}
	return err
}
