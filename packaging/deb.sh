#!/bin/sh
# Makes a Debian package of BINARY, one of the programs, in FOLDER, for nodes that have no Go:
#   packaging/deb.sh BINARY FOLDER
# Its version is that of a release, or comes before the first one and grows with the time of the commit.
set -eu
umask 022
binary=$1
folder=$2
here=$(dirname "$0")
name=$(basename "$binary")

version=$("$binary" --version | sed -n '1s/.*, version \([^ ]*\).*/\1/p')
case $version in
v[0-9]*) version=$(echo "${version#v}" | tr - +) ;;
*) version=0~$(git -C "$here" log -1 --format=%cd --date=format:%Y%m%d%H%M%S 2>/dev/null || echo 0).$(echo "$version" | tr -c '[:alnum:]\n' .) ;;
esac

# at_least prints the dependencies on libraries that are no older than here.
at_least() {
	dpkg-query -W -f '${Package} (>= ${Version})\n' "$@" | sed 's/[+-][^)]*)/)/' | paste -s -d , | sed 's/,/, /g'
}

case $name in
ceph-ganeti-exporter)
	depends=$(at_least libc6 librados2 librbd1)
	summary="Prometheus exporter for Ganeti nodes with Ceph"
	description="Serves metrics of the node's Ceph daemons, RBD images and guests, joined." ;;
cephctl)
	depends="openssh-client"
	summary="make and keep a Ceph cluster on the nodes of a node group"
	description="Runs on the master, and reaches the same program on the other nodes by ssh." ;;
*)
	echo "deb.sh: $name is none of the programs" >&2
	exit 1 ;;
esac

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
DESTDIR=$tree PREFIX=/usr SYSCONFDIR=/etc "$here/install.sh" "$binary" >"$tree/log" || {
	cat "$tree/log" >&2
	exit 1
}
rm "$tree/log"
mv "$tree/usr/share/zsh/site-functions" "$tree/usr/share/zsh/vendor-completions" # where Debian's zsh looks
gzip -9n "$tree"/usr/share/man/man8/*

mkdir "$tree/DEBIAN"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: $name
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: ceph-ganeti <ceph-ganeti@users.noreply.github.com>
Section: admin
Priority: optional
Homepage: https://github.com/ceph-ganeti/ceph-ganeti-exporter
Installed-Size: $(du -sk "$tree" | cut -f 1)
Depends: $depends
Description: $summary
 $description
CONTROL
echo "/etc/$name.yml" >"$tree/DEBIAN/conffiles"
if [ -e "$here/$name.service" ]; then
	script() { # script NAME, its text on standard input
		{ printf '#!/bin/sh\nset -e\n[ -d /run/systemd/system ] || exit 0\n'; cat; } >"$tree/DEBIAN/$1"
		chmod 755 "$tree/DEBIAN/$1"
	}
	# It is not started by itself: it wants its key first.
	script postinst <<SCRIPT
systemctl daemon-reload
[ -z "\$2" ] || systemctl try-restart $name.service
SCRIPT
	script prerm <<SCRIPT
[ "\$1" != remove ] || systemctl --no-reload disable --now $name.service
SCRIPT
	script postrm <<SCRIPT
systemctl daemon-reload
SCRIPT
fi
mkdir -p "$folder"
dpkg-deb --root-owner-group -Zgzip --build "$tree" "$folder/${name}_${version}_$(dpkg --print-architecture).deb"
