package exporter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/adminsocket"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback/loopbacktest"
)

// BenchmarkLoopback scrapes a node with 100 mapped images, each open in a QEMU, 3 OSDs, and 300 other processes with 20
// open files each. In "moving" every device has finished requests since the scrape before, in "new" processes are
// looked at in each scrape.
func BenchmarkLoopback(b *testing.B) {
	root := b.TempDir()
	const images, others = 100, 300
	for i := range images {
		mapImage(b, root, i)
		process(b, root, 1000+i, fmt.Sprintf("/dev/rbd%d", i))
	}
	for i := range others {
		process(b, root, 2000+i, "/dev/null")
	}
	loopbacktest.Write(b, root, "proc/1/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
	loopbacktest.Write(b, root, "proc/swaps", "Filename\n")
	loopbacktest.Write(b, root, "proc/meminfo", "MemTotal: 9 kB\nMemAvailable: 8 kB\nDirty: 0 kB\nWriteback: 0 kB\n")
	loopbacktest.Write(b, root, "proc/pressure/memory", "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
	run := b.TempDir()
	for i := range 3 {
		startServer(b, filepath.Join(run, fmt.Sprintf("ceph-osd.%d.asok", i)), map[string][]byte{"get_mapped_pools": mappedPools(b)})
	}
	collector := func() *Loopback {
		return NewLoopback(LoopbackOptions{Reader: loopback.Options{
			Sysfs: filepath.Join(root, "sys"), Procfs: filepath.Join(root, "proc"), CephRun: run, Caller: new(adminsocket.Client),
		}})
	}
	scrapeLoopback := func(l *Loopback) {
		targets, err := l.Targets(b.Context(), &Batch{})
		if err != nil {
			b.Fatal(err)
		}
		batch := &Batch{}
		if err := targets[0].Collect(b.Context(), batch); err != nil || batch.Len() < 5*images {
			b.Fatalf("%d samples: %v", batch.Len(), err)
		}
	}
	b.Run("still", func(b *testing.B) {
		l := collector()
		measure(b, func() { scrapeLoopback(l) })
	})
	b.Run("moving", func(b *testing.B) {
		l := collector()
		now, next := filepath.Join(root, "stats"), filepath.Join(root, "stats-next")
		measure(b, func() {
			if err := errors.Join(os.Rename(now, now+"-last"), os.Rename(next, now), os.Rename(now+"-last", next)); err != nil {
				b.Fatal(err)
			}
			scrapeLoopback(l)
		})
	})
	b.Run("new", func(b *testing.B) {
		measure(b, func() { scrapeLoopback(collector()) })
	})
}

func mapImage(b *testing.B, root string, i int) {
	b.Helper()
	dir := fmt.Sprintf("sys/devices/rbd/%d/", i)
	loopbacktest.Write(b, root, fmt.Sprintf("sys/bus/rbd/devices/%d", i), fmt.Sprintf("-> ../../../devices/rbd/%d", i))
	loopbacktest.Write(b, root, fmt.Sprintf("sys/block/rbd%d", i), fmt.Sprintf("-> ../devices/rbd/%d/block/rbd%d", i, i))
	for name, value := range map[string]string{
		"pool": "vms", "pool_id": "2", "name": fmt.Sprintf("disk%d", i), "image_id": "10a6", "current_snap": "-",
		"size": "1073741824", "features": "0x3d", "client_id": "client1", "cluster_fsid": "5d7bc8ea-6a3c-4c3d-9d6b-0c1c8a9f7e21",
	} {
		loopbacktest.Write(b, root, dir+name, value+"\n")
	}
	block := fmt.Sprintf("%sblock/rbd%d/", dir, i)
	loopbacktest.Write(b, root, block+"dev", fmt.Sprintf("252:%d\n", 16*i))
	loopbacktest.Write(b, root, block+"ro", "0\n")
	loopbacktest.Write(b, root, block+"inflight", "0 0\n")
	loopbacktest.Write(b, root, block+"holders/.keep", "\n")
	for _, name := range []string{"alignment_offset", "bdi", "capability", "events", "hidden", "mq", "power", "queue", "range", "size", "trace", "uevent"} {
		loopbacktest.Write(b, root, block+name, "0\n") // as many as sysfs has
	}
	loopbacktest.Write(b, root, block+"stat", "-> "+filepath.Join(root, "stats", strconv.Itoa(i)))
	for writes, folder := range []string{"stats", "stats-next"} { // that change places when the devices move
		loopbacktest.Write(b, root, fmt.Sprintf("%s/%d", folder, i), fmt.Sprintf("1 0 8 1 %d 0 4 9 1 30 30\n", writes))
	}
}

func process(b *testing.B, root string, pid int, device string) {
	b.Helper()
	dir := fmt.Sprintf("proc/%d/", pid)
	loopbacktest.Write(b, root, dir+"comm", "qemu-system-x86\n")
	loopbacktest.Write(b, root, dir+"fd/0", "-> "+device)
	loopbacktest.Write(b, root, dir+"fdinfo/0", "flags:\t0100002\n")
	for fd := 1; fd < 20; fd++ {
		loopbacktest.Write(b, root, fmt.Sprintf("%sfd/%d", dir, fd), "-> socket:[123]")
	}
}
