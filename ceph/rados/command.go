package rados

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	goceph "github.com/ceph/go-ceph/rados"
)

// ErrNotAllowed is returned for a command that is not on the list.
var ErrNotAllowed = errors.New("command is not on the list of read-only commands")

// Command runs a command of a mon or of the active mgr and returns its JSON answer. prefix must be on the list of
// Commands; args are the command's further arguments, nil for none.
//
// Similar to: ceph <prefix> <args> -f json
func (c *Conn) Command(ctx context.Context, prefix string, args map[string]any) ([]byte, error) {
	server, ok := Commands()[prefix]
	if !ok {
		return nil, fmt.Errorf("%s: %w", prefix, ErrNotAllowed)
	}
	request, err := encode(prefix, args)
	if err != nil {
		return nil, err
	}
	return Call(ctx, c, string(server)+" "+prefix, func(conn *goceph.Conn) ([]byte, error) {
		var answer []byte
		var status string
		var err error
		if server == Mon {
			answer, status, err = conn.MonCommand(request)
		} else {
			answer, status, err = conn.MgrCommand([][]byte{request})
		}
		if err != nil && status != "" {
			err = fmt.Errorf("%s: %w", status, err)
		}
		return answer, err
	})
}

func encode(prefix string, args map[string]any) ([]byte, error) {
	request := map[string]any{"prefix": prefix, "format": "json"}
	for k, v := range args {
		if _, taken := request[k]; taken {
			return nil, fmt.Errorf("%s: argument %s is not for the caller", prefix, k)
		}
		request[k] = v
	}
	text, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", prefix, err)
	}
	return text, nil
}
