package kvm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	// startTimeout bounds a start: what takes longer waits for something that does not come.
	startTimeout = 2 * time.Minute
	// killTimeout is what a killed process has to be gone. One that waits for a device in the kernel may take longer.
	killTimeout = 20 * time.Second
)

// ErrRunning is in the error when the instance is running already.
var ErrRunning = errors.New("is running already")

// Start starts a guest. It is started when QEMU answers and says that every disk is open through the driver that was asked
// for. Otherwise nothing is left of it, and the error has QEMU's own words.
func (h *Host) Start(ctx context.Context, c *Config) (*Status, error) {
	if err := h.check(c); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not started within %s", startTimeout))
	defer cancel()
	status, err := h.start(ctx, c)
	if err == nil {
		return status, nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	return nil, errors.Join(err, h.undo(undo, c.Instance))
}

// maxSocket is how long the path of a socket may be: the kernel has 108 bytes with the end.
const maxSocket = 107

func (h *Host) check(c *Config) error {
	if path := h.Dir.ctrl(c.Instance, suffixMonitor); len(path) > maxSocket {
		return fmt.Errorf("%s: the name is too long: the path of its monitor would have %d bytes, and %d are possible",
			c.Instance, len(path), maxSocket)
	}
	_, running, err := h.Dir.Guest(h.Procfs, c.Instance)
	if running {
		err = fmt.Errorf("%s %w", c.Instance, ErrRunning)
	}
	return err
}

func (h *Host) start(ctx context.Context, c *Config) (*Status, error) {
	// Whoever can connect to a socket commands the guest.
	for folder, mode := range map[string]os.FileMode{"conf": 0o700, "ctrl": 0o700, "pid": 0o755} {
		if err := os.MkdirAll(filepath.Join(string(h.Dir), folder), mode); err != nil {
			return nil, fmt.Errorf("make folder: %w", err)
		}
	}
	if err := h.removeFiles(c.Instance); err != nil {
		return nil, err
	}
	argv, err := h.CommandLine(c)
	if err != nil {
		return nil, err
	}
	content, err := runtimeFile(argv, c)
	if err != nil {
		return nil, fmt.Errorf("encode runtime file: %w", err)
	}
	if err := h.Dir.writeRuntime(c.Instance, content); err != nil {
		return nil, err
	}
	if _, err := h.Runner.Run(ctx, nil, argv...); err != nil {
		return nil, fmt.Errorf("start QEMU: %w", said(err))
	}
	if err := h.connect(ctx, c.NICs); err != nil {
		return nil, err
	}
	status, err := h.newStatus(ctx, c.Instance)
	if err != nil {
		return nil, fmt.Errorf("ask the new guest: %w", err)
	}
	return status, status.opened(c.Drives)
}

// newStatus is Status of a guest that has just been started: on a busy node it may not answer within MaxHold yet.
func (h *Host) newStatus(ctx context.Context, instance string) (*Status, error) {
	for {
		status, err := h.Status(ctx, instance)
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return status, err
		}
	}
}

// said shortens an error to what the command has said: its command line is very long.
func said(err error) error {
	var command interface {
		error
		Said() string
	}
	if errors.As(err, &command) && command.Said() != "" {
		if why := errors.Unwrap(command); why != nil {
			return fmt.Errorf("%w: %s", why, command.Said())
		}
		return errors.New(command.Said())
	}
	return err
}

// opened wants every disk open through its driver.
func (s *Status) opened(drives []Drive) error {
	for i := range drives {
		d, ok := s.drive(drives[i].DeviceID())
		switch {
		case !ok:
			return fmt.Errorf("QEMU does not know disk %d (%s)", i, drives[i].Path)
		case d.Driver != drives[i].Driver:
			return fmt.Errorf("QEMU has opened disk %d (%s) through %q, not %q", i, drives[i].Path, d.Driver, drives[i].Driver)
		}
	}
	return nil
}

// connect puts the tap devices that QEMU has made on their bridges.
func (h *Host) connect(ctx context.Context, nics []NIC) error {
	for i := range nics {
		if nics[i].Mode != ModeBridged {
			continue
		}
		if _, err := h.Runner.Run(ctx, nil, "ip", "link", "set", "dev", nics[i].Tap(), "master", nics[i].Bridge, "up"); err != nil {
			return fmt.Errorf("put NIC %d on bridge %s: %w", i, nics[i].Bridge, err)
		}
	}
	return nil
}

// undo ends what is left of a start and removes its files.
func (h *Host) undo(ctx context.Context, instance string) error {
	processes, err := h.processes(instance)
	if err != nil {
		return err
	}
	for _, p := range processes {
		if err := h.kill(ctx, p); err != nil {
			return err
		}
	}
	return h.removeFiles(instance)
}

// kill ends a process and waits until it is gone.
func (h *Host) kill(ctx context.Context, p Process) error {
	if h.lives(p) {
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("kill process %d: %w", p.PID, err)
		}
	}
	for h.lives(p) {
		if err := sleep(ctx, monitorPoll); err != nil {
			return fmt.Errorf("wait for the end of process %d: %w", p.PID, err)
		}
	}
	return nil
}

// lives tells whether a process is still there, other than as a zombie that nobody has waited for.
func (h *Host) lives(p Process) bool {
	now, err := ReadProcess(h.Procfs, p.PID)
	if err != nil || now != p {
		return false
	}
	name, err := guestName(h.Procfs, p.PID) // a zombie has no command line
	return err == nil && name != ""
}

// processes returns the QEMUs that were started for an instance of this directory, also those that have not got as far as
// to write their pid.
func (h *Host) processes(instance string) ([]Process, error) {
	return h.qemus("-pidfile", h.Dir.PIDFile(instance))
}

// Lives tells whether a QEMU of this host runs a guest with this UUID, in whatever directory.
func (h *Host) Lives(uuid string) (bool, error) {
	found, err := h.qemus("-uuid", uuid)
	return len(found) > 0, err
}

// qemus returns the QEMUs that were started with an option.
func (h *Host) qemus(option, value string) ([]Process, error) {
	entries, err := os.ReadDir(h.Procfs)
	if err != nil {
		return nil, fmt.Errorf("look for QEMU: %w", err)
	}
	var found []Process
	for _, entry := range entries {
		pid, ok := parsePID(entry.Name())
		if !ok {
			continue
		}
		p, err := ReadProcess(h.Procfs, pid)
		if err != nil {
			continue // gone meanwhile
		}
		if argv, err := arguments(h.Procfs, pid); err == nil && isQEMU(argv, option, value) {
			found = append(found, p)
		}
	}
	return found, nil
}

func isQEMU(argv []string, option, value string) bool {
	at := slices.Index(argv, option)
	return at >= 0 && at+1 < len(argv) && filepath.Base(argv[0]) == Program && argv[at+1] == value
}

// removeFiles removes the files of a guest that does not run.
func (h *Host) removeFiles(instance string) error {
	files := []string{h.Dir.PIDFile(instance), h.Dir.RuntimeFile(instance)}
	for _, suffix := range []string{suffixKVMD, suffixQMP, suffixMonitor, suffixSerial} {
		files = append(files, h.Dir.ctrl(instance, suffix))
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove what is left of %s: %w", instance, err)
		}
	}
	return nil
}

// parseEnabled reads the answer to queryKVM.
func parseEnabled(answer []byte) (bool, error) {
	var message struct {
		Return struct{ Enabled bool }
	}
	if err := json.Unmarshal(answer, &message); err != nil {
		return false, fmt.Errorf("parse accelerator: %w: %w", ErrAnswer, err)
	}
	return message.Return.Enabled, nil
}
