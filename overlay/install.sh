#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Puts the appliance into a Debian root file system:
#   sh overlay/install.sh [--packages DIR] [--key FILE.pub] DESTDIR
# The program and the Python packages that Debian lacks (requirements.txt) go to
# /usr/lib/mtp-appliance, the files of this folder to where they lie in it. pip fetches the packages,
# with its own settings: PIP_NO_INDEX and PIP_FIND_LINKS do it offline. With --packages they are
# copied from DIR, where they lie unpacked. --key is a key whose updates are taken
# (docs/updates.md). $PYTHON is the Python that runs pip.
# What only works in the system itself (users, bytecode, enabled units) is done where that system
# can be entered, and left out where DESTDIR is no system yet.
set -eu

say() {
    printf 'install.sh: %s\n' "$1" >&2
}

usage() {
    say "usage: install.sh [--packages DIR] [--key FILE.pub] DESTDIR"
    exit 2
}

packages='' key=''
while [ $# -ge 2 ]; do
    case $1 in
        --packages) packages=$2 ;;
        --key) key=$2 ;;
        *) usage ;;
    esac
    shift 2
done
[ -z "$packages" ] || [ -d "$packages" ] || { say "$packages is no folder"; exit 1; }
[ -z "$key" ] || grep -qs '^mtp-appliance-public-key ' "$key" || { say "$key is no public key"; exit 1; }
[ $# = 1 ] || usage
[ -d "$1" ] || { say "$1 is no folder"; exit 1; }
root=$(cd "$1" && pwd)
root=${root%/}
here=$(cd "$(dirname "$0")" && pwd)
project=${here%/*}
library=$root/usr/lib/mtp-appliance

# Run a command in the system that is installed into.
inside() {
    if [ -z "$root" ]; then "$@"; else chroot "$root" "$@"; fi
}

# Readable by all, whatever the umask here; what is there already keeps its place and its mode.
copy_tree() { # copy_tree FROM TO [--skip-old-files]
    mkdir -p "$2"
    tar -C "$1" --exclude=__pycache__ --owner=0 --group=0 --mode=u=rwX,go=rX -cf - . |
        tar -C "$2" "${3:---no-overwrite-dir}" -xpf -
}

copy_program() {
    for room in appliance webui; do
        rm -rf "${library:?}/$room"
        [ ! -d "$project/$room" ] || copy_tree "$project/$room" "$library/$room"
    done
    mkdir -p "$root/usr/share/doc/mtp-appliance"
    install -m 644 "$project/LICENSE" "$root/usr/share/doc/mtp-appliance/copyright"
}

copy_packages() {
    if [ -z "$packages" ]; then
        "${PYTHON:-python3}" -m pip install --quiet --no-deps --no-compile --upgrade \
            --disable-pip-version-check --target "$library" -r "$here/requirements.txt"
        return
    fi
    for package in functionfs ioctl_opt libaio; do
        [ -d "$packages/$package" ] || { say "$packages has no $package"; exit 1; }
        copy_tree "$packages/$package" "$library/$package"
    done
}

copy_overlay() {
    copy_tree "$here/etc" "$root/etc" --skip-old-files # what is there may be somebody's own
    copy_tree "$here/usr" "$root/usr"
}

settle() {
    if [ ! -x "$root/usr/bin/python3" ]; then
        say "$1 is no system yet: users, bytecode and enabled units are left to later"
        return
    fi
    inside python3 -m compileall -q --invalidation-mode unchecked-hash /usr/lib/mtp-appliance
    inside systemd-sysusers mtp-appliance.conf
    inside env SYSTEMD_OFFLINE=1 systemctl preset --quiet \
        mtp-appliance.target systemd-networkd.service avahi-daemon.service
}

# What the system says of the program it came with: an update that was chosen on another one counts not.
note_release() {
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$library/appliance/__init__.py")
    checksum=$(cd "$library" && find . -name '*.py' | LC_ALL=C sort | xargs cat | cksum)
    echo "$version $(cat "$library/base") ${checksum%% *}" >"$library/release"
    chmod 644 "$library/release"
    [ -z "$key" ] || install -D -m 644 "$key" "$library/keys/${key##*/}"
}

copy_program
copy_packages
copy_overlay
note_release
settle "$1"
