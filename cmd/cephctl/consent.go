package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// consent asks before something is lost for good. Where nobody can be asked, only --yes consents.
func (a *app) consent(ctx context.Context, plan *control.Plan, target string, yes bool) error {
	switch {
	case len(plan.Destroys) == 0 || yes:
		return nil
	case !a.terminalIn || !a.terminalErr || a.config.Output != outputTable:
		plan.Block("", "consent", "look at it with --plan, then give --yes", "this is lost for good: %s", strings.Join(plan.Destroys, ", "))
		return control.ErrBlocked
	}
	writePlan(a.err, plan)
	fmt.Fprintf(a.err, "To consent, type %s: ", target)
	answer, err := a.readLine(ctx)
	if err != nil {
		return err
	}
	if answer != target {
		return fmt.Errorf("%w: %q is not %s", control.ErrBlocked, answer, target)
	}
	return nil
}

// readLine reads a line of standard input, until ctx ends.
func (a *app) readLine(ctx context.Context) (string, error) {
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.in).ReadString('\n') // at the end of input the line is empty: no consent
		lines <- strings.TrimSpace(line)
	}()
	select {
	case line := <-lines:
		return line, nil
	case <-ctx.Done():
		return "", fmt.Errorf("wait for consent: %w", ctx.Err())
	}
}
