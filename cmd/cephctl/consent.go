package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// caseConsent is the refusal of what destroys when nobody can be asked.
const caseConsent = "consent"

// consent asks before something is lost for good. Where nobody can be asked, only --yes consents.
func (a *app) consent(ctx context.Context, plan *control.Plan, opts *changeOptions) error {
	switch {
	case len(plan.Destroys) == 0 || opts.yes:
		return nil
	case !a.terminalIn || !a.terminalErr || a.config.Output != outputTable:
		plan.Block("", caseConsent, "look at it with --plan, then give --yes", "%s for good", strings.Join(plan.Destroys, ", "))
		return a.refuse(opts, plan)
	}
	writePlan(a.err, plan)
	fmt.Fprintf(a.err, "To consent, type %s: ", opts.target)
	answer, err := a.readLine(ctx)
	if err != nil {
		return err
	}
	if answer != opts.target {
		return fmt.Errorf("%s: %w: %q is not %s, nothing was changed", plan.Title, control.ErrBlocked, answer, opts.target)
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
