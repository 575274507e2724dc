package loopback

import (
	"cmp"
	"slices"
	"strings"
)

// Cure is a way out.
type Cure struct {
	Text string `json:"text"`
	// Command does it, empty when it takes more than a command.
	Command string `json:"command,omitempty"`
}

// cures lists the ways out of a use at a level, best first. Pools are the names of those that have to go elsewhere.
func cures(m Mapping, pools []string, reason Reason, l Level) []Cure {
	if l == Info {
		return idleCures(m)
	}
	var all []Cure
	if m.Instance != "" && (reason == Direct || reason == PageCache) {
		all = append(all, instanceCures(m, reason)...)
	}
	for _, u := range m.Uses {
		switch u.Reason {
		case Swap:
			all = append(all, Cure{"stop swapping to it", "swapoff " + quote(u.Path)})
		case Filesystem:
			all = append(all, unmount(u))
		}
	}
	if m.needsParents(pools) {
		all = append(all, flatten(m))
	}
	if len(pools) == 0 {
		pools = []string{cmp.Or(m.DataPool, m.Pool)} // it is not known of any
	}
	for _, pool := range pools {
		all = append(all, Cure{"keep the pool's data on nodes that do not map its images: give it a CRUSH rule of another node group", "ceph osd pool set " + quote(pool) + " crush_rule RULE"})
	}
	if m.Instance != "" {
		all = append(all, Cure{"move the instance to a node without OSDs of the pool", "gnt-instance migrate --target-node=NODE " + quote(m.Instance)})
	}
	return all
}

// needsParents tells whether any of the pools counts for the image's parents alone.
func (m Mapping) needsParents(pools []string) bool {
	m.Parents = nil
	own := m.waitsFor()
	return slices.ContainsFunc(pools, func(name string) bool {
		return !slices.ContainsFunc(own, func(p Pool) bool { return p.Name == name })
	})
}

// flatten ends what an image has to do with its parents.
func flatten(m Mapping) Cure {
	spec := m.Pool + "/"
	if m.Namespace != "" {
		spec += m.Namespace + "/"
	}
	return Cure{"copy what the image still reads from its parent into it, so that it needs the parent's pool no more", "rbd flatten " + quote(spec+m.Image)}
}

// unmount takes a file system away wherever it is mounted, as one that is mounted twice is one use.
func unmount(u Use) Cure {
	c := Cure{Text: "take the file system off this node: mount it in an instance, or on a node without OSDs of the pool"}
	if u.Path != "" {
		c.Command = "umount -A " + quote(u.Path)
	}
	return c
}

// idleCures are for a device that nobody has open. Beside a userspace instance of Ganeti up to 3.1.1 it is normal.
func idleCures(m Mapping) []Cure {
	if m.Instance != "" {
		return []Cure{{Text: "none is needed while the instance has access=userspace: Ganeti up to 3.1.1 maps the image beside it"}}
	}
	command := "rbd unmap /dev/" + m.Device
	if m.Driver == NBD {
		command = "rbd-nbd unmap /dev/" + m.Device
	}
	return []Cure{{"unmap it, if nobody needs it", command}}
}

func instanceCures(m Mapping, reason Reason) []Cure {
	restart := " && gnt-instance reboot --type=full " + quote(m.Instance)
	all := []Cure{{
		"let QEMU open the image itself (for all instances of the cluster with RBD disks, each from its next start)",
		"gnt-cluster modify -D rbd:access=userspace" + restart,
	}}
	if reason == PageCache {
		all = append(all, Cure{
			"write past the page cache of the host",
			"gnt-instance modify -H disk_cache=none " + quote(m.Instance) + restart,
		})
	}
	return all
}

// quote quotes a word for a shell.
func quote(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,", r)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
