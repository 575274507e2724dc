package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// lockAddress is an abstract socket: it is one for the whole host and goes with the process that holds it.
const lockAddress = "@ceph-ganeti-exporter-demo"

// lock makes sure that this is the only demo on this host.
func lock(ctx context.Context) (unlock func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", lockAddress)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("another demo runs already%s; press Ctrl-C there first", holder(ctx))
	case err != nil:
		return nil, fmt.Errorf("lock: %w", err)
	}
	return func() { listener.Close() }, nil
}

// holder says, where it can be found out, which process holds the lock.
func holder(ctx context.Context) string {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", lockAddress)
	if err != nil {
		return ""
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return ""
	}
	pid := int32(0)
	_ = raw.Control(func(fd uintptr) {
		if peer, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = peer.Pid
		}
	})
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}
