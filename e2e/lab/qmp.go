package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
)

// qmpCommand is a command of QEMU's monitor.
type qmpCommand struct {
	Execute   string         `json:"execute"`
	Arguments map[string]any `json:"arguments,omitempty"`
}

// qmp has the QEMU behind a socket carry out commands.
func qmp(ctx context.Context, socket string, commands ...qmpCommand) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("reach QEMU: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	answers := json.NewDecoder(conn)
	for _, command := range append([]qmpCommand{{Execute: "qmp_capabilities"}}, commands...) {
		if err := json.NewEncoder(conn).Encode(command); err != nil {
			return fmt.Errorf("ask QEMU: %w", err)
		}
		if err := waitReturn(answers); err != nil {
			return fmt.Errorf("%s: %w", command.Execute, err)
		}
	}
	return nil
}

// waitReturn reads up to the answer of a command: before it come the greeting and events.
func waitReturn(answers *json.Decoder) error {
	for {
		var answer struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		if err := answers.Decode(&answer); err != nil {
			return fmt.Errorf("read answer of QEMU: %w", err)
		}
		if answer.Error != nil {
			return fmt.Errorf("answer of QEMU: %s", answer.Error.Desc)
		}
		if answer.Return != nil {
			return nil
		}
	}
}
