package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"syscall"
	"time"
)

const (
	// killDelay is what a command has to clean up after SIGTERM.
	killDelay = 2 * time.Second
	// pipeDelay is how long a pipe is read on that others hold when the command has ended.
	pipeDelay = killDelay + time.Second
)

// process is a command that runs.
type process struct {
	argv    []string
	cmd     *exec.Cmd
	stderr  *tail
	log     *slog.Logger
	started time.Time
	// kill is set once the process group was asked to end.
	kill *time.Timer
}

func (r *Runner) start(ctx context.Context, stdin []byte, out io.Writer, outlive bool, argv []string) (*process, error) {
	if len(argv) == 0 {
		return nil, errors.New("run nothing: there is no command")
	}
	env := r.environ()
	program, err := find(argv[0], env)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", Quote(argv), err)
	}
	if outlive {
		ctx = context.WithoutCancel(ctx)
	}
	p := &process{argv: argv, stderr: &tail{}, log: r.logger(), started: time.Now()}
	p.cmd = exec.CommandContext(ctx, program, argv[1:]...)
	p.cmd.Args[0], p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = argv[0], env, out, p.stderr
	if stdin != nil {
		p.cmd.Stdin = bytes.NewReader(stdin)
	}
	// A group of its own: what the terminal sends to ours (Ctrl-C) reaches the command by ctx only.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !outlive, Setsid: outlive}
	p.cmd.Cancel, p.cmd.WaitDelay = p.terminate, pipeDelay
	if r.OnRun != nil {
		r.OnRun(Quote(argv))
	}
	if err := p.cmd.Start(); err != nil {
		p.report(err)
		return nil, fmt.Errorf("run %s: %w", Quote(argv), err)
	}
	return p, nil
}

func (r *Runner) logger() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	if r.Host == "" {
		return r.Log
	}
	return r.Log.With("host", r.Host)
}

// wait waits for the end, and says why when it was not a good one.
func (p *process) wait(ctx context.Context) error {
	err := p.cmd.Wait()
	p.sweep()
	if errors.Is(err, exec.ErrWaitDelay) && p.cmd.ProcessState.Success() {
		err = nil // the command has done its work; what it has left behind holds a pipe
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("stopped: %w", context.Cause(ctx))
	}
	p.report(err)
	if err == nil {
		return nil
	}
	return &Error{Argv: p.argv, Code: p.cmd.ProcessState.ExitCode(), Stderr: p.stderr.String(), Err: err}
}

// waitOrLeave is wait, except that it leaves a process that is to outlive ctx alone.
func (p *process) waitOrLeave(ctx context.Context, outlive bool) error {
	if !outlive {
		return p.wait(ctx)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.wait(context.WithoutCancel(ctx)) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return &Error{
			Argv: p.argv, Code: -1, Stderr: p.stderr.String(),
			Err: fmt.Errorf("left running: %w", context.Cause(ctx)),
		}
	}
}

func (p *process) report(err error) {
	outcome := "done"
	if err != nil {
		outcome = err.Error()
	}
	p.log.Info("command", "command", Quote(p.argv), "duration", time.Since(p.started), "outcome", outcome)
}

// terminate asks the process group to end, and makes it after killDelay.
func (p *process) terminate() error {
	p.kill = time.AfterFunc(killDelay, func() { _ = p.signal(syscall.SIGKILL) })
	return p.signal(syscall.SIGTERM)
}

// sweep waits until nothing is left of a process group that was asked to end. That takes killDelay when something
// ignores SIGTERM.
func (p *process) sweep() {
	if p.kill == nil {
		return
	}
	defer p.kill.Stop() // the number may be another's by then
	for end := time.Now().Add(pipeDelay); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if p.signal(0) != nil {
			return
		}
	}
}

func (p *process) signal(sig syscall.Signal) error { return syscall.Kill(-p.cmd.Process.Pid, sig) }
