package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"

	"golang.org/x/sys/unix"
)

// The ports that FreePorts gives. Those above are what Linux has for outgoing connections: one of these could take a port
// before the server listens that it was found for, or while it is started anew.
const (
	firstPort = 20000
	lastPort  = 32767
)

// FreePorts returns n TCP ports of 127.0.0.1 on which nobody listens now, and which no other process of the lab gets as
// long as this one runs.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for _, offset := range rand.Perm(lastPort - firstPort + 1) {
		if len(ports) == n {
			return ports, nil
		}
		port := firstPort + offset
		free, err := reserve(port)
		if err != nil {
			return nil, fmt.Errorf("reserve port %d: %w", port, err)
		}
		if !free {
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if errors.Is(err, unix.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		listener.Close()
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("find a free port: all from %d to %d are taken", firstPort, lastPort)
}

// reserve tells whether this process is the first to ask for a port. What says so is the name of a socket, which has no file
// and which nobody closes: the kernel does when the process ends, however that is.
func reserve(port int) (bool, error) {
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	err = unix.Bind(socket, &unix.SockaddrUnix{Name: fmt.Sprintf("@ceph-ganeti-lab-port-%d", port)})
	if err == nil {
		return true, nil
	}
	if errors.Is(err, unix.EADDRINUSE) {
		err = nil
	}
	return false, errors.Join(err, unix.Close(socket))
}
