#!/bin/sh
# Installs what `make test` needs on Debian 12 or later or, as `setup.sh build` and `setup.sh demo`, the part of it that
# `make build` and `make demo` need or, as `setup.sh e2e`, what `make e2e` needs besides.
# Says what that is, asks for sudo when not root, and is done at once when nothing is missing.
set -eu

# The compiler and headers for librados and librbd.
BUILD_PACKAGES="ca-certificates gcc libc6-dev librados-dev librbd-dev"
# A Ceph cluster (ceph-mgr brings what its prometheus module needs); a guest that opens RBD images; a Prometheus,
# which brings promtool.
LAB_PACKAGES="ceph-common ceph-mon ceph-mgr ceph-osd
	qemu-system-x86 qemu-block-extra
	prometheus"
# Ceph's other daemons, and an sshd that the tests run as their own child: no part of the demo runs them.
TEST_PACKAGES="ceph-mds radosgw rbd-mirror
	openssh-client openssh-server"
# Nodes: containers and virtual machines, and what makes and connects them. What maps images without krbd is copied into
# them, and the alerts of their exporters go to a real Alertmanager.
NODE_PACKAGES="openssh-client systemd-container debootstrap debian-archive-keyring iproute2 util-linux e2fsprogs
	rbd-nbd prometheus-alertmanager"
# What these packages would start at the next boot. Prometheus' port is also the demo's.
SERVICES="ceph-crash.service ceph.target prometheus.service rbdmap.service
	prometheus-alertmanager.service
	ceph-mds.target ceph-radosgw.target radosgw.service ceph-rbd-mirror.target
	ssh.service ssh.socket"
MIN_GO_MINOR=21
POLICY=/usr/sbin/policy-rc.d

main() {
	check_go
	case ${1:-all} in
	build) missing=$(missing_packages $BUILD_PACKAGES) ;;
	demo) missing=$(missing_packages $BUILD_PACKAGES $LAB_PACKAGES) ;;
	e2e) missing=$(missing_packages $BUILD_PACKAGES $LAB_PACKAGES $NODE_PACKAGES) ;;
	*) missing=$(missing_packages $BUILD_PACKAGES $LAB_PACKAGES $TEST_PACKAGES) ;;
	esac
	[ -n "$missing" ] || exit 0
	echo "setup: these packages are missing and will be installed (their services are not started): $missing"
	command -v apt-get >/dev/null || die "there is no apt-get here: install them by hand, then run this again"
	if [ "$(id -u)" -eq 0 ]; then
		install_packages "$missing"
	else
		command -v sudo >/dev/null || die "no root and no sudo: run this as root once: $0"
		sudo sh "$0" --install "$missing"
	fi
}

die() {
	echo "setup: $*" >&2
	exit 1
}

# check_go asks outside the module, where an old Go does not stumble over go.mod. Go 1.21 and later fetch the version
# that go.mod names by themselves.
check_go() {
	command -v go >/dev/null ||
		die "Go is not installed: get 1.$MIN_GO_MINOR or later from https://go.dev/dl/ and put it on the PATH"
	version=$(cd / && GOTOOLCHAIN=local go env GOVERSION)
	minor=${version#go1.}
	minor=${minor%%[!0-9]*}
	[ "${minor:-0}" -ge "$MIN_GO_MINOR" ] ||
		die "$(command -v go) is ${version:-too old}: get Go 1.$MIN_GO_MINOR or later from https://go.dev/dl/"
}

missing_packages() {
	installed=$(dpkg-query -W -f '${Package}=${db:Status-Status};' "$@" 2>/dev/null || true)
	missing=
	for package in "$@"; do
		case $installed in
		*"$package=installed;"*) ;;
		*) missing="${missing:+$missing }$package" ;;
		esac
	done
	echo "$missing"
}

install_packages() {
	trap clean_up EXIT
	trap 'exit 1' HUP INT TERM
	forbid_starts
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -o DPkg::Lock::Timeout=300 update
	before=$(list_services)
	apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends $1
	disable_services "$before"
}

# forbid_starts makes dpkg's scripts start nothing (invoke-rc.d and deb-systemd-invoke ask policy-rc.d), for as long
# as the installation takes. One that is there already is the admin's will and stays.
forbid_starts() {
	policy_is_ours=
	if [ -e "$POLICY" ]; then
		echo "setup: $POLICY exists and decides which services start"
		return
	fi
	policy_is_ours=yes
	printf '#!/bin/sh\n# Placed by %s, which removes it again.\nexit 101\n' "$0" >"$POLICY"
	chmod 755 "$POLICY"
}

clean_up() {
	[ -z "${policy_is_ours:-}" ] || rm -f "$POLICY"
}

# list_services prints those of SERVICES that exist. radosgw's is a script of System V init.
list_services() {
	for service in $SERVICES; do
		if [ -e "/lib/systemd/system/$service" ] || [ -e "/etc/init.d/${service%.service}" ]; then echo "$service"; fi
	done
}

# disable_services undoes, for the services that were not there before, that Debian enables them for the next boot.
# --root works on the files alone: it needs no running systemd and touches no running service.
disable_services() {
	command -v systemctl >/dev/null || return 0
	for service in $(list_services); do
		case $1 in
		*"$service"*) ;;
		*) systemctl --root=/ --quiet disable "$service" ;;
		esac
	done
}

if [ "${1:-}" = --install ]; then
	install_packages "$2"
else
	main "$@"
fi
