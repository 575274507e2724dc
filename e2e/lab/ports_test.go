package lab

import (
	"fmt"
	"net"
	"testing"
)

// TestFreePorts takes ports that can be listened on, and none of them twice.
func TestFreePorts(t *testing.T) {
	seen := make(map[int]bool)
	for range 2 {
		ports, err := FreePorts(50)
		if err != nil || len(ports) != 50 {
			t.Fatalf("%d ports, %v", len(ports), err)
		}
		for _, port := range ports {
			if seen[port] {
				t.Errorf("port %d was given twice", port)
			}
			seen[port] = true
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Error(err)
				continue
			}
			defer listener.Close()
		}
	}
}
