#!/bin/sh
# Runs the integration tests against several versions of PostgreSQL: versions.sh [13 15 17 18]
#
# 15 is the machine's own; the others live in directories with another Debian suite, made once by
# debootstrap in $BACKSTAY_VERSIONS_DIR. The servers and Backstay run inside the directory, on test
# directories that are mounted at the same path inside and outside. Backstay takes its libraries
# along, because the directory's may be older; for newer versions also PostgreSQL 15, from which
# pg_upgrade goes. Tests marked `once` do not depend on the version and
# run with 15 only. Needs root, and the packages of tools/install-deps test versions, which it
# installs. JOBS=N bounds the test modules that run at once; further arguments for pytest:
# PYTEST_ARGS; the test directories are made in $TMPDIR (socket paths are long: keep it short).
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${BACKSTAY_VERSIONS_DIR:-/var/cache/backstay-versions}
binary=${BACKSTAY:-$root/build/backstay}
faults=${BACKSTAY_FAULTS:-$root/build/faults/backstay}
base=    # where the version's test directories are
directory=  # the root in which its programs run; empty: the machine's own
mounted= # what was mounted into it, the last first
child=   # pytest, while it runs

say() { printf '%s\n' "versions: $*"; }
die() { say "$*" >&2; exit 2; }

# Process ids of what still runs on this version's directories: the servers by their working
# directory, the rest by its home directory.
leftovers() {
    for process in /proc/[0-9]*; do
        case $(readlink "$process/cwd" || true) in
        "$directory$base"/* | "$base"/*) echo "${process#/proc/}" && continue ;;
        esac
        ! tr '\0' '\n' <"$process/environ" | grep -qs "^HOME=$base/" || echo "${process#/proc/}"
    done 2>/dev/null
}

# Leaves nothing running and nothing mounted, however the tests ended.
clean_up() {
    [ -n "$base" ] || return 0
    for signal in QUIT KILL; do # an immediate shutdown, to a server
        processes=$(leftovers)
        [ -n "$processes" ] || break
        # shellcheck disable=SC2086 # several ids
        kill -"$signal" $processes 2>/dev/null || true
        sleep 1
    done
    for place in $(awk -v base="$base/" 'index($2, base) == 1 {print $2}' /proc/mounts) $mounted; do
        umount "$place" 2>/dev/null || umount -l "$place" || true
    done
    mounted=
    # Where another run has /dev/shm mounted over the mount point, this is the directory itself.
    [ -z "$directory" ] || rmdir "$directory$base" 2>/dev/null || true
    base=
}

interrupted() {
    trap "" HUP INT TERM
    [ -z "$child" ] || { kill -TERM "$child" && wait "$child"; } || true
    kept=$base
    clean_up
    [ -z "$kept" ] || rm -rf --one-file-system "$kept"
    exit 130
}
trap clean_up EXIT
trap interrupted HUP INT TERM

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

# Makes the directory for version $1, whole or not at all. Of two runs at once the second waits.
prepare_directory() {
    suite=$(suite_of "$1")
    mkdir -p "$cache"
    exec 9>"$cache/$1.lock"
    flock 9
    if [ ! -d "$cache/$1" ]; then
        say "making $cache/$1 ($suite)"
        rm -rf --one-file-system "$cache/$1.new"
        debootstrap --variant=minbase --include="postgresql-$1" "$suite" "$cache/$1.new" \
            "$(mirror)" >"$cache/$1.log" 2>&1 || die "debootstrap failed, see $cache/$1.log"
        mv "$cache/$1.new" "$cache/$1"
    fi
    exec 9>&-
}

# The libraries that program or library $1 is linked with, and theirs.
libraries_of() {
    ldd "$1" | awk '$2 == "=>" && $3 ~ /^\// {print $3}'
}

# Makes programs $2... run anywhere with a copy of their loader and libraries in $1. libpq is loaded
# by name when it is needed, and so are the modules of a server; as the search path is an old-style
# one, it holds for those and for the libraries of libraries too.
make_portable() {
    libpq=$(ldconfig -p | awk '$1 == "libpq.so.5" {print $NF; exit}')
    [ -n "$libpq" ] || die "libpq.so.5 is not installed"
    libraries=$1
    shift
    mkdir -p "$libraries"
    { for each in "$@" "$libpq"; do libraries_of "$each"; done && echo "$libpq"; } | sort -u |
        xargs cp -L -t "$libraries"
    cp -L "$(patchelf --print-interpreter "$1")" "$libraries/loader"
    for each in "$@"; do
        patchelf --set-interpreter "$libraries/loader" --force-rpath --set-rpath "$libraries" \
            "$each"
    done
}

# Copies program $1 into directory $2, so that it runs anywhere.
bundle() {
    mkdir -p "$2"
    cp "$1" "$2/backstay"
    make_portable "$2/lib" "$2/backstay"
    chmod -R a+rX "$2"
}

# Copies PostgreSQL 15 into directory $1, so that pg_upgrade has something to begin with: its programs
# find what else they need from where they are themselves.
bundle_server() {
    mkdir -p "$1/lib/postgresql/15/lib" "$1/share/postgresql"
    cp -RL /usr/share/postgresql/15 "$1/share/postgresql/15"
    cp -RL /usr/lib/postgresql/15/bin "$1/lib/postgresql/15/bin"
    find /usr/lib/postgresql/15/lib -maxdepth 1 -name '*.so' ! -name 'llvm*' \
        -exec cp -L -t "$1/lib/postgresql/15/lib" {} +
    programs=
    for name in initdb postgres pg_controldata pg_ctl pg_resetwal; do
        programs="$programs $1/lib/postgresql/15/bin/$name"
    done
    # shellcheck disable=SC2086 # several programs
    make_portable "$1/needed" $programs
    chmod -R a+rX "$1"
}

mount_at() {
    mount "$@"
    for last in "$@"; do :; done
    mounted="$last $mounted"
}

# Runs pytest in a session of its own, so that a Ctrl-C reaches it once, from `interrupted`, and
# it stops its servers undisturbed.
run_pytest() {
    # shellcheck disable=SC2086 # PYTEST_ARGS is several words
    PYTHONDONTWRITEBYTECODE=1 BACKSTAY_TEST_BASE=$base setsid "${PYTHON:-/usr/bin/python3}" \
        -m pytest -q -p no:cacheprovider -n "${JOBS:-$(nproc)}" --dist loadfile \
        --rootdir "$root/tests/integration" "$root/tests/integration" \
        --junit-xml "$base/report.xml" "$@" ${PYTEST_ARGS:-} </dev/null &
    child=$!
    status=0
    wait "$child" || status=$?
    child=
}

run_here() {
    BACKSTAY=$binary BACKSTAY_FAULTS=$faults run_pytest
}

run_in_directory() {
    prepare_directory "$1"
    directory=$cache/$1
    bundle "$binary" "$base/prog"
    bundle "$faults" "$base/faults"
    old=/usr/lib/postgresql/$1/bin
    if [ "$1" -gt 15 ]; then
        bundle_server "$base/pg15"
        old=$base/pg15/lib/postgresql/15/bin
    fi
    mkdir -p "$directory$base"
    mount_at --bind "$base" "$directory$base"
    mount_at -t proc proc "$directory/proc"
    mount_at --bind /dev/shm "$directory/dev/shm"
    PG_CHROOT=$directory PG_BIN=/usr/lib/postgresql/$1/bin PG_OLD_BIN=$old BACKSTAY=$base/prog/backstay \
        BACKSTAY_FAULTS=$base/faults/backstay run_pytest -m "not once"
}

# "12 passed, 0 failed, 1 skipped" of pytest's report $1.
counts() {
    sed -n 's/.*<testsuite [^>]*errors="\([0-9]*\)" failures="\([0-9]*\)" skipped="\([0-9]*\)" tests="\([0-9]*\)".*/\1 \2 \3 \4/p' \
        "$1" 2>/dev/null | awk '
            {print $4 - $1 - $2 - $3 " passed, " $1 + $2 " failed, " $3 " skipped"; found = 1}
            END {if (!found) print "no report"}'
}

# Leaves the line about version $1 in `result`.
run_version() {
    say "PostgreSQL $1"
    base=$(mktemp -d "${TMPDIR:-/tmp}/bv$1-XXXX")
    chmod 755 "$base"
    directory=
    if [ "$1" = 15 ]; then run_here; else run_in_directory "$1"; fi
    kept=$base
    clean_up
    result="PostgreSQL $1: $(counts "$kept/report.xml")"
    if [ "$status" -eq 0 ]; then
        rm -rf --one-file-system "$kept"
    else
        result="$result: FAILED (status $status, see $kept)"
        failed=1
    fi
}

[ "$(id -u)" = 0 ] || die "only root can make and mount the directories"
for program in "$binary" "$faults"; do
    [ -f "$program" ] || die "no such binary: $program (run make build faults)"
done
"$root/tools/install-deps" test versions >/dev/null
[ $# -gt 0 ] || set -- 13 15 17 18
for version in "$@"; do
    [ "$version" = 15 ] || suite_of "$version" >/dev/null
done
summary=
failed=0
for version in "$@"; do
    run_version "$version"
    summary="$summary
  $result"
done
say "$summary"
exit "$failed"
