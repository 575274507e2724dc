package rados

// #cgo LDFLAGS: -lrados
// #include <rados/librados.h>
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	goceph "github.com/ceph/go-ceph/rados"
)

// open connects, and stamps the files that it did so with. It can take as long as opts.Timeout says.
func open(opts Options) (*goceph.Conn, stamp, error) {
	conn, s, err := prepare(opts)
	if err != nil {
		return nil, nil, err
	}
	if err := conn.Connect(); err != nil {
		err = connectError(err, opts, keyrings(conn))
		shutdown(conn)
		return nil, nil, err
	}
	return conn, s, nil
}

// prepare does all that comes before Connect. Files are stamped before they are read.
func prepare(opts Options) (*goceph.Conn, stamp, error) {
	conn, err := goceph.NewConnWithUser(opts.User)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: create librados handle for client.%s: %w", ErrNoConnection, opts.User, err)
	}
	s := make(stamp)
	s.add(opts.Config)
	if err := configure(conn, opts); err != nil {
		shutdown(conn)
		return nil, nil, err
	}
	s.add(keyrings(conn)...)
	return conn, s, nil
}

// configure sets what must stand before Connect. What is set by hand wins over the file.
func configure(conn *goceph.Conn, opts Options) error {
	seconds := strconv.Itoa(max(1, int(opts.Timeout/time.Second)))
	settings := [][2]string{
		{"client_mount_timeout", seconds},
		{"rados_osd_op_timeout", seconds},
		// With it a late answer of a mgr is written to memory that is no more: https://tracker.ceph.com/issues/65985
		{"rados_mon_op_timeout", "0"},
		// Leave a mon that does not answer soon, and do not wait longer and longer before the next is tried.
		{"mon_client_ping_interval", "2"},
		{"mon_client_ping_timeout", "8"},
		{"mon_client_hunt_interval_max_multiple", "1"},
		// One thread each does for a command at a time; every further one has a stack and buffers of its own.
		{"ms_async_op_threads", "1"},
		{"librados_thread_count", "1"},
		{"admin_socket", ""},
		{"log_file", ""},
		{"log_to_stderr", "false"},
		{"err_to_stderr", "false"},
		{"log_to_syslog", "false"},
		{"err_to_syslog", "false"},
	}
	if opts.Keyring != "" {
		settings = append(settings, [2]string{"keyring", opts.Keyring})
	}
	for _, s := range settings {
		if err := conn.SetConfigOption(s[0], s[1]); err != nil {
			return fmt.Errorf("%w: set librados option %s: %w", ErrNoConnection, s[0], err)
		}
	}
	// librados says EINVAL for whatever is wrong with the file; the system knows better.
	f, err := os.Open(opts.Config)
	if err != nil {
		return fmt.Errorf("%w: set --ceph.config to this cluster's ceph.conf: %w", ErrNoConnection, err)
	}
	f.Close()
	if err := conn.ReadConfigFile(opts.Config); err != nil {
		return fmt.Errorf("%w: read %s: %w", ErrNoConnection, opts.Config, err)
	}
	return nil
}

// keyrings returns where librados looks for the key.
func keyrings(conn *goceph.Conn) []string {
	list, err := conn.GetConfigOption("keyring")
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == ';' || c == ' ' })
}

// shutdown frees a handle whether it is connected or not. go-ceph leaves one that never connected to the garbage
// collector, and its threads and descriptors with it.
func shutdown(conn *goceph.Conn) {
	runtime.SetFinalizer(conn, nil)
	C.rados_shutdown(C.rados_t(unsafe.Pointer(conn.Cluster())))
}
