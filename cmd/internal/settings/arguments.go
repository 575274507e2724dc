package settings

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// FlagError names the nearest flag when one is unknown.
func (r *Rules) FlagError(cmd *cobra.Command, err error) error {
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return fmt.Errorf("%w: %w", r.Mistake, err)
	}
	flags := make(map[string]bool)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { flags["--"+f.Name] = true })
	return fmt.Errorf("%w: no flag is called --%s%s", r.Mistake, name, Suggest("--"+name, flags))
}

// NoArguments refuses arguments.
func (r *Rules) NoArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: unexpected argument %q; see --help", r.Mistake, args[0])
	}
	return nil
}

// NoCommand refuses arguments of a command that only has others below it, and names the nearest of those.
func (r *Rules) NoCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	names := make(map[string]bool)
	for _, c := range cmd.Commands() {
		names[c.Name()] = true
	}
	return fmt.Errorf("%w: %s has no command %q%s", r.Mistake, cmd.CommandPath(), args[0], Suggest(args[0], names))
}
