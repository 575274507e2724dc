package rados

import (
	"context"
	"errors"
	"fmt"
	"syscall"
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
	case syscall.ESHUTDOWN, syscall.ENOTCONN, syscall.ETIMEDOUT, syscall.EACCES, syscall.EPERM:
		return true
	}
	return false
}

// connectError adds the next step to an error of Connect.
func connectError(err error, opts Options) error {
	who := "connect as client." + opts.User
	switch n := errno(err); {
	case n == syscall.ETIMEDOUT || errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no mon answers: check that one runs and that mon host in %s is right: %w", who, opts.Config, err)
	case n == syscall.ENOENT:
		return fmt.Errorf("%s: no key for it in %s: create one as docs/security.md says: %w", who, opts.keyringHint(), err)
	case n == syscall.EACCES || n == syscall.EPERM:
		return fmt.Errorf("%s: the mon refuses the key in %s: compare it with ceph auth get client.%s: %w", who, opts.keyringHint(), opts.User, err)
	case n == syscall.EINVAL:
		return fmt.Errorf("%s: the key in %s is malformed%s: %w", who, opts.keyringHint(), opts.keyTypeHint(), err)
	}
	return fmt.Errorf("%s: %w", who, err)
}

// callError adds the next step to an error of a call.
func callError(err error, opts Options) error {
	switch errno(err) {
	case syscall.EACCES, syscall.EPERM:
		return fmt.Errorf("client.%s lacks the caps: give it those of docs/security.md: %w", opts.User, err)
	}
	return err
}

func (o Options) keyringHint() string {
	if o.Keyring != "" {
		return o.Keyring
	}
	return "the keyring that " + o.Config + " names"
}
