package kvm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Source is what a disk is made of: an RBD image, a block device, a file.
type Source struct {
	// Driver is the block driver that does the I/O, for example "rbd", "host_device" or "file".
	Driver string
	// Path is the file or device; empty for librbd.
	Path string
	// Pool, Namespace, Image and Snapshot name the RBD image, where the source says it.
	Pool, Namespace, Image, Snapshot string
}

// String writes a source for people: "rbd:POOL/[NAMESPACE/]IMAGE" for librbd, else the file or device.
func (s Source) String() string {
	if s.Path != "" || s.Image == "" {
		return s.Path
	}
	words := slices.DeleteFunc([]string{s.Pool, s.Namespace, s.Image}, func(word string) bool { return word == "" })
	return "rbd:" + strings.Join(words, "/")
}

// ParseFilename reads the file name that QEMU shows for a disk. It knows "rbd:POOL/[NAMESPACE/]IMAGE[@SNAPSHOT]
// [:OPTION...]", "json:{...}" with any number of filters on top, "/dev/rbd/POOL/[NAMESPACE/]IMAGE", other devices
// and files. What it does not know has only a driver.
func ParseFilename(name string) Source {
	switch {
	case strings.HasPrefix(name, "json:"):
		return parseJSONFilename(name[len("json:"):])
	case strings.HasPrefix(name, "rbd:"):
		return parseRBD(name[len("rbd:"):])
	case strings.HasPrefix(name, "/"):
		return parsePath(name)
	}
	driver, _, isURI := strings.Cut(name, ":")
	if !isURI {
		return Source{Driver: "file", Path: name}
	}
	return Source{Driver: driver}
}

func parseJSONFilename(text string) Source {
	var top blockNode
	if json.Unmarshal([]byte(text), &top) != nil {
		return Source{}
	}
	node := &top
	for node.File != nil {
		node = node.File
	}
	s := Source{Driver: node.Driver}
	switch node.Driver {
	case "rbd":
		s.Pool, s.Namespace, s.Image, s.Snapshot = node.Pool, node.Namespace, string(node.Image), node.Snapshot
	case "host_device", "file":
		s = parsePath(node.Filename)
		s.Driver = node.Driver
	}
	return s
}

// blockNode is one level of a "json:" name: a format or filter with a file below, or a protocol.
type blockNode struct {
	Driver, Filename          string
	Pool, Namespace, Snapshot string
	Image                     optionalString
	File                      *blockNode
}

// optionalString is a string in the rbd driver, and empty where another driver has a node of that name.
type optionalString string

// UnmarshalJSON takes a string, and any other value as none.
func (s *optionalString) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*s = optionalString(text)
	}
	return nil
}

// parseRBD reads what follows "rbd:". A backslash takes the meaning from the character that follows it.
func parseRBD(name string) Source {
	s := Source{Driver: "rbd"}
	var rest string
	s.Pool, rest = cutUnescaped(name, '/')
	rest, _ = cutUnescaped(rest, ':')
	rest, s.Snapshot = cutUnescaped(rest, '@')
	if first, second := cutUnescaped(rest, '/'); second != "" {
		s.Namespace, rest = first, second
	}
	s.Image = rest
	for _, part := range []*string{&s.Pool, &s.Namespace, &s.Image, &s.Snapshot} {
		*part = unescape(*part)
	}
	return s
}

// cutUnescaped cuts text around the first separator that no backslash stands before.
func cutUnescaped(text string, separator byte) (before, after string) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case separator:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func parsePath(path string) Source {
	s := Source{Driver: "file", Path: path}
	if strings.HasPrefix(path, "/dev/") {
		s.Driver = "host_device"
	}
	if image, ok := strings.CutPrefix(path, "/dev/rbd/"); ok {
		image, s.Snapshot, _ = strings.Cut(image, "@")
		switch parts := strings.Split(image, "/"); len(parts) {
		case 2:
			s.Pool, s.Image = parts[0], parts[1]
		case 3:
			s.Pool, s.Namespace, s.Image = parts[0], parts[1], parts[2]
		}
	}
	return s
}

// HostDevice returns the name of the block device behind the source, for example "rbd0", when it is one. It
// follows symbolic links, as Ganeti gives QEMU one, but does not touch the device, nor need it be there: the
// exporter's unit has a /dev without it.
func (s Source) HostDevice() string {
	path := s.Path
	for range maxLinks {
		if name, ok := strings.CutPrefix(path, "/dev/"); ok {
			return realDevice(name)
		}
		target, err := os.Readlink(path)
		if err != nil {
			return ""
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return ""
}

// maxLinks is how many symbolic links may lead to a device.
const maxLinks = 8

// realDevice follows the links that udev makes below /dev, such as rbd/POOL/IMAGE.
func realDevice(name string) string {
	path, err := filepath.EvalSymlinks("/dev/" + name)
	if err != nil {
		return name
	}
	return strings.TrimPrefix(path, "/dev/")
}
