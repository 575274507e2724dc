// Command cephctl makes and keeps a storage cluster on the nodes of a node group.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

const program = "cephctl"

// Exit codes. exitStatus is what help says about them.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitBlocked     = 3
	exitChanges     = 4
	exitLocked      = 5
	exitUnreachable = 6
	exitInterrupted = 130
)

const exitStatus = `
EXIT STATUS
  0    done, or nothing to do
  1    something went wrong
  2    a flag, argument, variable or key is wrong
  3    refused, with all reasons; nothing was changed
  4    --plan: there are changes to be made
  5    somebody else is changing things at the moment
  6    a node can't be reached
  130  interrupted; the same command goes on`

func main() {
	a := newApp()
	os.Exit(execute(a, newRootCommand(a)))
}

// execute runs a command until it ends or a signal comes, says what went wrong, and returns the exit code.
func execute(a *app, cmd *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	err := cmd.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil {
		err = interrupted{err}
	}
	a.close()
	tell(a.err, err)
	return exitCode(err)
}

// interrupted is an error that comes of a signal.
type interrupted struct{ error }

// Unwrap returns what the signal has broken off.
func (e interrupted) Unwrap() error { return e.error }

// Error says so, and what was broken off.
func (e interrupted) Error() string { return "interrupted: " + e.error.Error() }

// tell says what went wrong, unless the output has said it already.
func tell(w io.Writer, err error) {
	if err == nil || errors.Is(err, errChanges) || errors.Is(err, errVeto) || errors.As(err, new(levelError)) {
		return
	}
	cure := ""
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		cure = ": run it as root"
	}
	fmt.Fprintf(w, "%s: %v%s\n", program, err, cure)
}

func exitCode(err error) int {
	var level levelError
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(interrupted)):
		return exitInterrupted
	case errors.Is(err, control.ErrUsage), errors.Is(err, control.ErrUnknown):
		return exitUsage
	case errors.Is(err, control.ErrBlocked):
		return exitBlocked
	case errors.Is(err, errChanges):
		return exitChanges
	case errors.As(err, &level):
		return level.code
	case errors.Is(err, control.ErrLocked):
		return exitLocked
	case errors.Is(err, control.ErrUnreachable):
		return exitUnreachable
	}
	return exitFailure
}
