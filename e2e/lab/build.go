package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// BuildCephctl builds cephctl, with build tags, as a file of this path. It wants to run in a folder of the project.
func BuildCephctl(ctx context.Context, path string, tags ...string) error {
	build := exec.CommandContext(ctx, "go", "build", "-tags", strings.Join(tags, ","), "-o", path,
		"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/cephctl")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build cephctl: %w: %s", err, out)
	}
	return nil
}
