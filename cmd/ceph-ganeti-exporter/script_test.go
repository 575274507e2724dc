package main

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/clitest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		program:    main,
		"settings": printSettings,
	})
}

// TestScript runs the scripts of testdata/script. Beside the usual commands they have "exits CODE COMMAND...",
// "taken VARIABLE", "dead SOCKET" and "settings FLAG...", and the condition [root].
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:       "testdata/script",
		Condition: func(name string) (bool, error) { return name == "root" && os.Geteuid() == 0, nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    clitest.Exits,
			"taken":    taken,
			"dead":     dead,
			"settings": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(ts.Exec("settings", args...)) },
		},
	})
}

// taken puts an address on which somebody listens into a variable.
func taken(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// dead makes a socket file as a daemon leaves it behind that was killed.
func dead(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("unix", ts.MkAbs(args[0]))
	ts.Check(err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	ts.Check(l.Close())
}

// printSettings is a program that prints what the settings come out as.
func printSettings() {
	c := &config{}
	f := newFlags(c)
	if err := f.Parse(os.Args[1:]); err != nil {
		panic(err)
	}
	if err := c.complete(f); err != nil {
		panic(err)
	}
	rules().Visit(f, func(flag, _ string) { fmt.Printf("%s=%s\n", flag, f.Lookup(flag).Value) })
}
