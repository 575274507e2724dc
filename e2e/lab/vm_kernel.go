package lab

import (
	"context"
	_ "embed"
	"path/filepath"
)

// kernelScript makes what virtual machines boot with: vm_kernel.sh FOLDER BASE INIT makes FOLDER/kernel.
//
//go:embed vm_kernel.sh
var kernelScript string

// initScript is the first program of a virtual machine.
//
//go:embed vm_init.sh
var initScript string

// vmKernel returns the folder of what virtual machines boot with, and makes it when the cache does not have it.
func vmKernel(ctx context.Context, base string, progress func(string)) (string, error) {
	return cached{
		what: "kernel", path: filepath.Join(filepath.Dir(base), "kernel-"+shortSum(filepath.Base(base), kernelScript, initScript)),
		script: kernelScript, args: []string{base, initScript}, progress: progress,
	}.get(ctx)
}
