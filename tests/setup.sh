#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes this checkout ready for one of the Makefile's targets: Debian packages, then .venv.
#   sh tests/setup.sh run|test|test-fast|check|vm|bench|image|image-test
# As root, what is missing is installed by apt-get. Otherwise it is named, with the line that
# installs it, and the work goes on as far as it can. When nothing is missing, nothing is asked.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin
purpose=$1

# The one list of Debian packages: what for, package (or alternatives), what shows that it is there.
debian_packages() {
    cat <<'END'
run,test,test-fast,image-test  gphoto2      command gphoto2
test,test-fast      shellcheck              command shellcheck
test,test-fast      libvirt-clients         command virt-xml-validate
test,test-fast      libxml2-utils           command xmllint
test,test-fast      procps                  command pkill
test,test-fast      libaio1t64|libaio1      library libaio.so.1
test,test-fast      chromium                command chromium
test,test-fast,bench  qemu-user             command qemu-x86_64
test,test-fast,bench  tcc                   command tcc
test,test-fast,bench  libc6-dev             file /usr/include/stdio.h
test,vm,bench       qemu-system-x86         command qemu-system-x86_64
test,test-fast      qemu-utils              command qemu-io
test,test-fast,vm,bench,image,image-test  mmdebstrap        command mmdebstrap
test,vm,bench       uidmap                  command newuidmap
test,test-fast,vm,bench,image,image-test  e2fsprogs  command mke2fs
test,test-fast,vm,bench,image,image-test  debian-archive-keyring  file /usr/share/keyrings/debian-archive-keyring.gpg
test,test-fast,image,image-test  mtools     command mcopy
test,test-fast,image,image-test  dosfstools  command mkfs.vfat
test,test-fast,image,image-test  fdisk      command sfdisk
test,test-fast,image,image-test  squashfs-tools  command mksquashfs
test,test-fast,image,image-test  device-tree-compiler  command fdtput
test,test-fast,image,image-test  kmod       command depmod
test,test-fast,image,image-test  cpio       command cpio
test,test-fast,image,image-test  zstd       command zstd
test,test-fast,image,image-test  xz-utils   command xz
test,test-fast,image,image-test  bmap-tools  command bmaptool
image-test          qemu-system-arm         command qemu-system-aarch64
image,image-test    arch-test               command arch-test
image,image-test    qemu-user-static        command qemu-aarch64-static
image,image-test    binfmt-support          command update-binfmts
END
}

say() {
    printf '%s\n' "$@" >&2
}

die() {
    say "$@"
    exit 1
}

present() { # present command NAME, or: library SONAME, or: file PATH
    case $1 in
        command) command -v "$2" >/dev/null 2>&1 ;;
        file) [ -e "$2" ] ;;
        library) ldconfig -p 2>/dev/null | grep -qF "$2" ;;
    esac
}

available() {
    apt-cache show "$1" 2>/dev/null | grep -q '^Package:'
}

# Of alternatives (newest first), the first that this system's package lists know, else the last.
choose() {
    rest=$1
    while [ "$rest" != "${rest#*|}" ] && ! available "${rest%%|*}"; do
        rest=${rest#*|}
    done
    printf '%s\n' "${rest%%|*}"
}

missing_packages() {
    debian_packages | while read -r purposes package kind name; do
        case ",$purposes," in
            *",$purpose,"*) present "$kind" "$name" || choose "$package" ;;
        esac
    done
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

has_venv() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

find_python() {
    for python in "${PYTHON:-python3}" python3 python3.13 python3.12 python3.11; do
        if new_enough "$python"; then
            return
        fi
    done
    python=
}

missing_python() {
    if [ -z "$python" ]; then
        command -v python3 >/dev/null 2>&1 || printf 'python3\npython3-venv\n'
    elif ! has_venv "$python"; then
        "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    fi
}

missing() {
    { missing_python; missing_packages; } | tr '\n' ' ' | sed 's/ $//'
}

ask_apt() {
    [ -n "$(missing)" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "Asking apt for: $(missing)"
        apt-get -qq update </dev/null || say "apt-get update failed; going on with the lists at hand."
        # shellcheck disable=SC2046  # one word a package
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
            -o Dpkg::Use-Pty=0 install $(missing) </dev/null >/dev/null ||
            say "apt-get install failed; going on without what is missing."
        find_python
    fi
    still=$(missing)
    [ -z "$still" ] || say "Missing on this machine: $still" \
        "Install it with:  sudo apt-get install --no-install-recommends $still" \
        "Going on without, as far as that goes."
}

need_python() {
    [ -n "$python" ] && return
    here=$(python3 --version 2>/dev/null) || here="no python3"
    die "Python 3.11 or newer is needed; here is $here." \
        "Debian 12, Ubuntu 24.04 and newer have it. To name one that lies elsewhere:" \
        "make $purpose PYTHON=/path/to/python3"
}

# What is installed into .venv: for `run` the responder alone, else the tools and the USB part too.
requirement() {
    case $purpose in
        run) printf '.[web]' ;;
        *) printf '.[dev,usb]' ;;
    esac
}

stamp() {
    case $purpose in
        run) printf '.make/run' ;;
        *) printf '.make/tools' ;;
    esac
}

key() {
    printf '%s\n' "$PWD" "$("$python" --version)"
    cksum <pyproject.toml
}

up_to_date() {
    [ -x .venv/bin/mtp-appliance ] && [ -f "$1" ] && [ "$(cat "$1")" = "$(key)" ]
}

make_venv() {
    "$python" -m venv --clear .venv &&
        PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install -q -e "$(requirement)"
}

prepare_venv() {
    if up_to_date .make/tools || up_to_date "$(stamp)"; then
        return
    fi
    if has_venv "$python"; then
        say "Setting up .venv with $("$python" --version) ..."
        mkdir -p .make
        rm -f .make/run .make/tools
        make_venv && key >"$(stamp)" && return
    fi
    [ "$purpose" = run ] || die "Without .venv there is no way to go on."
    rm -rf .venv
    say "Serving without .venv, straight from this folder."
}

find_python
ask_apt
need_python
prepare_venv
