#!/bin/sh
# Runs the integration tests against several versions of PostgreSQL: versions.sh [13 15 17 18]
#
# 15 is the machine's own; the others live in folders with another Debian suite, made once by
# debootstrap in $BACKSTAY_VERSIONS_DIR. The servers and Backstay run inside the folder, on test
# directories that are mounted at the same path inside and outside. Backstay takes its libraries
# along, because the folder's may be older. Tests marked `once` do not depend on the version and
# run with 15 only. Needs root, debootstrap and patchelf. Further arguments for pytest: PYTEST_ARGS.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${BACKSTAY_VERSIONS_DIR:-/var/cache/backstay-versions}
binary=${BACKSTAY:-$root/build/backstay}
faults=${BACKSTAY_FAULTS:-$root/build-faults/backstay}
mounted=

say() { printf '%s\n' "versions: $*"; }
die() { say "$*" >&2; exit 2; }

unmount_all() {
    for place in $mounted; do
        umount "$place" 2>/dev/null || umount -l "$place" || true
    done
    mounted=
}
trap unmount_all EXIT
trap 'exit 130' INT TERM

suite_of() {
    case $1 in
    13) echo bullseye ;;
    17) echo trixie ;;
    18) echo sid ;;
    *) die "no suite is known for PostgreSQL $1" ;;
    esac
}

# The mirror that apt itself uses, in either form of its sources.
mirror() {
    awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/debian.sources 2>/dev/null | grep . ||
        awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) {print $i; exit}}' \
            /etc/apt/sources.list
}

# Makes the folder for version $1, whole or not at all.
prepare_folder() {
    folder=$cache/$1
    [ -d "$folder" ] && return
    mkdir -p "$cache"
    rm -rf "$folder.new"
    say "making $folder ($(suite_of "$1"))"
    debootstrap --variant=minbase --include="postgresql-$1" "$(suite_of "$1")" "$folder.new" \
        "$(mirror)" >"$cache/$1.log" 2>&1 || die "debootstrap failed, see $cache/$1.log"
    mv "$folder.new" "$folder"
}

# Copies program $1 with its loader and libraries into folder $2, so that it runs anywhere.
bundle() {
    mkdir -p "$2/lib"
    cp "$1" "$2/backstay"
    ldd "$1" | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | xargs -r cp -L -t "$2/lib"
    loader=$(patchelf --print-interpreter "$1")
    cp -L "$loader" "$2/lib/loader"
    patchelf --set-interpreter "$2/lib/loader" --force-rpath --set-rpath "$2/lib" "$2/backstay"
    chmod -R a+rX "$2"
}

mount_at() {
    mount "$@"
    for last in "$@"; do :; done
    mounted="$last $mounted"
}

run_pytest() {
    # shellcheck disable=SC2086 # PYTEST_ARGS is several words
    ( cd "$root" && PYTHONDONTWRITEBYTECODE=1 "${PYTHON:-/usr/bin/python3}" -m pytest -q \
        tests/integration "$@" ${PYTEST_ARGS:-} )
}

run_in_folder() {
    version=$1
    folder=$cache/$version
    prepare_folder "$version"
    base=$(mktemp -d "/tmp/bv$version-XXXX")
    chmod 755 "$base"
    bundle "$binary" "$base/prog"
    [ ! -f "$faults" ] || bundle "$faults" "$base/faults"
    mkdir -p "$folder$base"
    mount_at --bind "$base" "$folder$base"
    mount_at -t proc proc "$folder/proc"
    mount_at --bind /dev/shm "$folder/dev/shm"
    status=0
    PG_CHROOT=$folder PG_BIN=/usr/lib/postgresql/$version/bin BACKSTAY_TEST_BASE=$base \
        BACKSTAY=$base/prog/backstay BACKSTAY_FAULTS=$base/faults/backstay \
        run_pytest -m "not once" || status=$?
    unmount_all
    rmdir "$folder$base"
    [ "$status" -ne 0 ] || rm -rf "$base"
    return "$status"
}

[ "$(id -u)" = 0 ] || die "only root can make and mount the folders"
[ -f "$binary" ] || die "no such binary: $binary (run make build)"
for program in debootstrap patchelf; do
    command -v "$program" >/dev/null || apt-get install -y -q "$program" >/dev/null
done
[ $# -gt 0 ] || set -- 13 15 17 18
summary=
failed=0
for version in "$@"; do
    status=0
    say "PostgreSQL $version"
    if [ "$version" = 15 ]; then
        BACKSTAY=$binary BACKSTAY_FAULTS=$faults run_pytest || status=$?
    else
        run_in_folder "$version" || status=$?
    fi
    if [ "$status" -eq 0 ]; then result=passed; else result="FAILED ($status)" failed=1; fi
    summary="$summary
  PostgreSQL $version: $result"
done
say "$summary"
exit "$failed"
