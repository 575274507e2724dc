package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is how long a process may take to end after SIGTERM before it is killed.
const stopTimeout = time.Minute

// cleanupTimeout is how long the reaper may take. Killed processes can take their time when the machine is busy.
const cleanupTimeout = 3 * time.Minute

// maxDir is how long the path of a folder may be, in bytes: that of a socket may have 107, and the part of a guest's
// librbd socket below the folder has about 50.
const maxDir = 55

// reaperScript waits for its standard input to end, which happens when the process that holds the other end closes
// it or dies in any way. Then it leaves the process group, kills it (SIGKILL also ends what was stopped by SIGSTOP),
// cleans up and removes the folder. A process that is just dying may still hold something or make a file, hence the
// tries.
//
// It says when it has set its traps: the kernel sends SIGHUP to a process group that has a stopped member and loses its
// parent.
const reaperScript = `trap '' HUP INT TERM
echo ready
exec >/dev/null
read -r _
exec setsid --fork --wait sh -c '
	kill -KILL "-$1"
	for try in $(seq 1200); do sh -c "$3" && rm -rf -- "$2" && exit; sleep 0.1; done' sh "$$" "$1" "$2"`

// groupOptions is the part of a group that not all have alike.
type groupOptions struct {
	// Parent is where the folder is made. Default: os.TempDir().
	Parent string
	// Cleanup is a shell script that undoes what neither is a process nor in the folder. It runs when the processes
	// have been killed, and again while it fails.
	Cleanup string
}

// group is a folder and the processes that work in it. Both end with the process that made the group.
//
// Pdeathsig would not do: it ends with the thread, not with the process, that started a child.
type group struct {
	// Dir is a new folder.
	Dir string

	cleanup  string
	reaper   *exec.Cmd
	lifeline io.Closer
	running  sync.WaitGroup
	once     sync.Once
	closeErr error
}

// newGroup makes a folder, in which sockets can be, and the reaper that outlives this process just long enough to clean
// up.
func newGroup() (*group, error) {
	g, err := newGroupWith(groupOptions{})
	if err != nil {
		return nil, err
	}
	if len(g.Dir) > maxDir {
		err := fmt.Errorf("make folder: %s is too long a name for sockets in it: set TMPDIR to a shorter one", g.Dir)
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// newGroupWith is newGroup for what is not like the others.
func newGroupWith(options groupOptions) (*group, error) {
	dir, err := os.MkdirTemp(options.Parent, "lab")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	reaper := exec.CommandContext(context.Background(), "sh", "-c", reaperScript, "lab-reaper", dir, options.Cleanup)
	g := &group{Dir: dir, cleanup: options.Cleanup, reaper: reaper}
	g.reaper.Dir = "/"
	g.reaper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := g.startReaper(); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("start reaper: %w", err)
	}
	return g, nil
}

// startReaper returns when the reaper is ready.
func (g *group) startReaper() error {
	var err error
	if g.lifeline, err = g.reaper.StdinPipe(); err != nil {
		return err
	}
	out, err := g.reaper.StdoutPipe()
	if err != nil {
		return err
	}
	if err := g.reaper.Start(); err != nil {
		return err
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		return errors.Join(err, g.reaper.Wait())
	}
	return nil
}

// close kills all processes of the group at once, the reaper among them, cleans up and removes the folder. It does so
// once: later the number of the group may be another's.
func (g *group) close() error {
	g.once.Do(func() { g.closeErr = g.killAndRemove() })
	return g.closeErr
}

// killAndRemove lets the reaper do it, so that it is also done when this process dies in the middle.
func (g *group) killAndRemove() error {
	g.lifeline.Close()
	// It kills itself with the others, which is all that their exit says, and what it has left behind goes on.
	_ = g.reaper.Wait()
	g.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	err := waitFor(ctx, "the end of "+g.Dir, quickPoll, func() (bool, error) {
		_, err := os.Lstat(g.Dir)
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		// Nobody has heard what it failed at.
		out, scriptErr := exec.CommandContext(context.Background(), "sh", "-c", g.cleanup).CombinedOutput()
		if scriptErr != nil {
			scriptErr = fmt.Errorf("clean up: %w: %s", scriptErr, bytes.TrimSpace(out))
		}
		return errors.Join(err, scriptErr, os.RemoveAll(g.Dir))
	}
	return nil
}

// path returns the path of a file or folder of the group.
func (g *group) path(elem ...string) string {
	return filepath.Join(append([]string{g.Dir}, elem...)...)
}

// mkdirs makes folders in the group's folder.
func (g *group) mkdirs(names ...string) error {
	for _, name := range names {
		if err := os.MkdirAll(g.path(name), 0o700); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	return nil
}

// command returns a command that will run as a member of the group.
func (g *group) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = g.Dir
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: g.reaper.Process.Pid}
	return cmd
}

// run runs a command to its end and returns what it printed on standard output. An error carries what it
// printed on standard error.
func (g *group) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := g.command(ctx, name, args...)
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("run %s: %w", filepath.Base(name), withStderr(ctx, err))
	}
	return out, nil
}

func withStderr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}

// process is a daemon of a group.
type process struct {
	// Name tells it from the others, for example "osd.1".
	Name string
	Pid  int

	cmd    *exec.Cmd
	output string
	done   chan struct{}
}

// start starts a daemon that stays in the foreground. What it prints goes to a file in the group's folder.
func (g *group) start(name, program string, args ...string) (*process, error) {
	output := g.path(name + ".out")
	out, err := os.OpenFile(output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer out.Close()
	cmd := g.command(context.Background(), program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{Name: name, Pid: cmd.Process.Pid, cmd: cmd, output: output, done: make(chan struct{})}
	g.running.Go(func() {
		// How it ended stands in cmd.ProcessState.
		_ = cmd.Wait()
		close(p.done)
	})
	return p, nil
}

// alive returns nil while the process runs, and else an error with the last it printed.
func (p *process) alive() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %s: %s", p.Name, p.cmd.ProcessState, tail(p.output, 1000))
	default:
		return nil
	}
}

// signal sends a signal to the process. After SIGSTOP it returns when the last of its threads has stopped: until then one
// of them may still answer.
func (p *process) signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	if sig != syscall.SIGSTOP {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return waitFor(ctx, p.Name+" to be stopped", time.Millisecond, func() (bool, error) {
		return p.stopped(), p.alive()
	})
}

func (p *process) stopped() bool {
	threads, err := filepath.Glob("/proc/" + strconv.Itoa(p.Pid) + "/task/*/status")
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err != nil || !bytes.Contains(status, []byte("\nState:\tT")) {
			return false
		}
	}
	return err == nil && len(threads) > 0
}

// terminate asks the process to end, kills it when it does not, and returns when it has ended.
func (p *process) terminate() error {
	if err := p.signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTimeout):
		return p.kill()
	}
}

// kill ends the process at once, also when it is stopped.
func (p *process) kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	return nil
}

// tail returns the last n bytes of a file, or nothing when there is none.
func tail(path string, n int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	content = bytes.TrimSpace(content)
	return string(content[max(0, len(content)-n):])
}
