package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// WriteNodeInfo writes what the exporter tells about the node, /var/lib/cephctl/node.json. It holds no secrets.
func (h *Host) WriteNodeInfo(ctx context.Context, content []byte) error {
	if !json.Valid(content) {
		return errors.New("write node.json: the content is not JSON")
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	l := h.layout()
	err = h.each(ctx, []operation{
		makeDir{path: l.varCephctl(), mode: 0o755, owner: rootUser},
		writeFile{path: l.nodeInfo(), content: content, mode: 0o644, owner: rootUser},
	})
	if err != nil {
		return fmt.Errorf("write node.json: %w", err)
	}
	return nil
}
