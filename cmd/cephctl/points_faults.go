//go:build faults

package main

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// points kills the process where FAULT_AT says ("begin", "effect" or "done"), once for each step: the steps that
// were killed stand in the file that FAULT_FILE names. With FAULT_STEP it kills at that step only. With FAULT_SIGNAL=TERM
// it asks the process to end instead of killing it.
func points() func(where, step string) {
	want, file, only := os.Getenv("FAULT_AT"), os.Getenv("FAULT_FILE"), os.Getenv("FAULT_STEP")
	if want == "" {
		return nil
	}
	return func(where, step string) {
		if where != want || only != "" && step != only {
			return
		}
		killed, _ := os.ReadFile(file)
		if slices.Contains(strings.Split(string(killed), "\n"), step) {
			return
		}
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		_, _ = f.WriteString(step + "\n")
		_ = f.Close()
		signal := syscall.SIGKILL
		if os.Getenv("FAULT_SIGNAL") == "TERM" {
			signal = syscall.SIGTERM
		}
		_ = syscall.Kill(os.Getpid(), signal)
		time.Sleep(time.Second) // until it arrives
	}
}
