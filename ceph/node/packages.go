package node

import (
	"context"
	"strings"
)

// Packages are the packages that a node of a storage group has to have, with those that its osd_backend takes.
func Packages(backend string) []string {
	packages := []string{"ceph-mon", "ceph-mgr", "ceph-osd", "ceph-common"}
	switch backend {
	case BackendLVM:
		return append(packages, "lvm2", "ceph-volume")
	case BackendRaw:
		return append(packages, "ceph-volume")
	}
	return packages
}

// packages reads which packages are installed.
func (o *observer) packages(ctx context.Context, backend string) {
	o.facts.Packages = map[string]string{}
	// All of them: to name one that dpkg does not know is an error.
	listed, err := o.host.run(ctx, "dpkg-query", "-W", "-f", `${db:Status-Status} ${Package} ${Version}\n`)
	if o.problem("read packages", err) {
		return
	}
	installed := parsePackages(listed)
	for _, name := range Packages(backend) {
		if version, ok := installed[name]; ok {
			o.facts.Packages[name] = version
		}
	}
	if osd := o.facts.Packages["ceph-osd"]; osd != "" && o.facts.Packages["ceph-volume"] == "" && exists(o.host.layout().cephVolume()) {
		o.facts.Packages["ceph-volume"] = osd // which it is part of in older releases
	}
	for _, name := range []string{"ceph-osd", "ceph-mon", "ceph-mgr", "ceph-common"} {
		if version := o.facts.Packages[name]; version != "" {
			o.facts.Release = upstreamVersion(version)
			return
		}
	}
}

// parsePackages reads lines of status, name and version.
func parsePackages(listed []byte) map[string]string {
	packages := make(map[string]string)
	for line := range strings.Lines(string(listed)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "installed" {
			packages[fields[1]] = fields[2]
		}
	}
	return packages
}

// upstreamVersion returns "16.2.15" for "16.2.15+ds-0+deb12u2".
func upstreamVersion(version string) string {
	if _, after, found := strings.Cut(version, ":"); found {
		version = after
	}
	end := strings.IndexFunc(version, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end >= 0 {
		version = version[:end]
	}
	return strings.TrimRight(version, ".")
}
