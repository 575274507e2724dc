#!/bin/sh
# Installs BINARY, one of the programs, with its manual, completions, examples and unit. A configuration file that is there stays.
#   DESTDIR= PREFIX=/usr/local SYSCONFDIR=/etc packaging/install.sh BINARY
# With VERSION=, that of the source, it warns when the binary is of another one.
set -eu
binary=$1
here=$(dirname "$0")
name=$(basename "$binary")
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}
share=$root$prefix/share
config=${SYSCONFDIR:-/etc}/$name.yml

put() { # put MODE FILE DIRECTORY/NAME
    install -D -m "$1" "$2" "$3"
    echo "installed $3"
}

version=$("$binary" --version | sed -n '1s/.*, version \([^ ]*\).*/\1/p')
echo "installing $name $version"
if [ "${VERSION:-devel}" != devel ] && [ "$version" != "$VERSION" ]; then
    echo "warning: $binary is of $version and the source of $VERSION; make build brings them together" >&2
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for shell in bash zsh fish; do
    "$binary" completion "$shell" > "$work/$shell"
done

put 755 "$binary" "$root$prefix/bin/$name"
if [ -e "$here/$name.service" ]; then
    sed -e "s#/usr/local/bin#$prefix/bin#g" -e "s#/etc/$name.yml#$config#" "$here/$name.service" > "$work/unit"
    put 644 "$work/unit" "$root$prefix/lib/systemd/system/$name.service"
    put 644 "$here/prometheus.yml" "$share/doc/$name/prometheus.yml"
    put 644 "$here/look.conf" "$share/doc/$name/look.conf"
fi
for page in "$here"/man/"$name"*.8; do
    put 644 "$page" "$share/man/man8/$(basename "$page")"
done
put 644 "$work/bash" "$share/bash-completion/completions/$name"
put 644 "$work/zsh" "$share/zsh/site-functions/_$name"
put 644 "$work/fish" "$share/fish/vendor_completions.d/$name.fish"
put 644 "$here/$name.yml" "$share/doc/$name/$name.yml"
if [ -e "$root$config" ]; then
    echo "left $root$config as it is"
else
    put 644 "$here/$name.yml" "$root$config"
fi
