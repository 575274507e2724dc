package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// storageReplaceOSDOptions are the flags of storage replace-osd.
type storageReplaceOSDOptions struct {
	changeOptions
	device string
}

func newStorageReplaceOSDCommand(a *app) *cobra.Command {
	opts := storageReplaceOSDOptions{}
	cmd := &cobra.Command{
		Use:   "replace-osd [--device DEVICE] OSD",
		Short: "Make an OSD anew, under the same id, on another disk",
		Long: `Makes an OSD anew on another disk, or on a new one in the same place. It keeps its id, so that no more data moves than
has to. Its data is made anew on other OSDs first, and what is left of it is wiped.
` + exitStatus,
		Example: `  cephctl storage replace-osd --device /dev/disk/by-id/wwn-0x5000c500a1b2c3d4 3`,
		Args:    arguments(1, 1, "the number of the OSD"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runStorageReplaceOSD(cmd.Context(), a, opts, args[0])
		},
	}
	cmd.Flags().StringVar(&opts.device, "device", "", "the new device (default: where the OSD was)")
	opts.register(cmd)
	opts.registerYes(cmd)
	return cmd
}

func runStorageReplaceOSD(ctx context.Context, a *app, opts storageReplaceOSDOptions, name string) error {
	id, err := strconv.Atoi(strings.TrimPrefix(name, "osd."))
	if err != nil || id < 0 {
		return fmt.Errorf("%w: OSD %q: give its number, for example 3", control.ErrUsage, name)
	}
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change {
		return clusterOf(env).ReplaceOSD(id, opts.device, "")
	})
}
