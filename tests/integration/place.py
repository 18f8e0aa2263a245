"""Where things are and as whom they run: the one module that reads the environment.

BACKSTAY         the binary under test (default: build/backstay of this checkout)
BACKSTAY_FAULTS  a binary with fault points (meson -Dfaults=true), for test_faults.py
BACKSTAY_TOOLS   the directory with the test programs of tests/tools (default: build/tests)
PG_BIN           PostgreSQL's programs (default /usr/lib/postgresql/15/bin)
PG_OLD_BIN       those of an older version, from which pg_upgrade goes (default: PG_BIN)
PG_CHROOT        a directory with another suite's PostgreSQL; every program then runs inside it
BACKSTAY_TEST_BASE  where test directories are made (default: /dev/shm where it has room, since a
                 sync of a shared disk waits for the neighbours, otherwise /tmp); with PG_CHROOT the
                 same path must be visible inside and outside
BACKSTAY_TEST_KILLS  how often a program is killed at a random moment (default 10)

Root drops to `postgres` (of the directory, when there is one); an ordinary user runs all as himself.
"""
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PG_BIN = Path(os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin"))
PG_OLD_BIN = Path(os.environ.get("PG_OLD_BIN", PG_BIN))
CHROOT = os.environ.get("PG_CHROOT", "")
ROOM_IN_MEMORY = 6 << 30  # free bytes from which on tests run in memory
TOOLS = Path(os.environ.get("BACKSTAY_TOOLS", ROOT / "build" / "tests"))
KILLS = int(os.environ.get("BACKSTAY_TEST_KILLS", "10"))
IS_ROOT = os.geteuid() == 0


def _base():
    memory = Path("/dev/shm")
    if "BACKSTAY_TEST_BASE" in os.environ:
        return Path(os.environ["BACKSTAY_TEST_BASE"])
    if not CHROOT and memory.is_dir() and shutil.disk_usage(memory).free >= ROOM_IN_MEMORY:
        return memory
    return Path("/tmp")


BASE = _base()


def _owner():
    if not IS_ROOT:
        return os.geteuid(), os.getegid()
    if not CHROOT:
        entry = pwd.getpwnam("postgres")
        return entry.pw_uid, entry.pw_gid
    for line in Path(CHROOT, "etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == "postgres":
            return int(fields[2]), int(fields[3])
    raise LookupError(f"no user postgres in {CHROOT}")


OWNER = _owner()


def as_owner(argv):
    """The command line that runs `argv` as the owner of the data directories. chroot(1), not
    runuser(1): it becomes the program, so the process id that we see is the one to signal."""
    argv = [str(part) for part in argv]
    if not IS_ROOT:
        return argv
    uid, gid = OWNER
    return ["chroot", f"--userspec={uid}:{gid}", "--groups=", CHROOT or "/"] + argv


def environment(home, extra=None):
    """A small environment that nobody's own settings reach."""
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "LANG": "C",
           "LC_ALL": "C", "TZ": "UTC", "G_DEBUG": "fatal-criticals"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]
    env.update(extra or {})
    return env


def run_as_owner(argv, home, extra=None, check=True, timeout=300):
    result = subprocess.run(as_owner(argv), env=environment(home, extra), cwd="/", text=True,
                            capture_output=True, timeout=timeout, check=False)
    if check and result.returncode != 0:
        raise AssertionError(f"{argv} ended with {result.returncode}:\n"
                             f"{result.stdout}{result.stderr}")
    return result


def give_to_owner(path):
    if IS_ROOT:
        os.chown(path, *OWNER, follow_symlinks=False)
    return Path(path)


def make_directory(path, mode=0o700):
    path = Path(path)
    path.mkdir(mode=mode)
    path.chmod(mode)
    return give_to_owner(path)


def new_base_directory():
    """Short, because a unix socket's path in it must stay below 108 bytes."""
    path = Path(tempfile.mkdtemp(prefix="bk-", dir=BASE))
    path.chmod(0o755)
    return give_to_owner(path)


def staged_binary(variable, default, directory):
    """A copy of a binary that the owner can run: a checkout under /root is closed to `postgres`.
    Fails when it is not there; a missing binary is never a reason to skip. With PG_CHROOT the
    copy that tests/versions.sh prepared is used as it is, since it finds its libraries."""
    source = Path(os.environ.get(variable, default))
    assert source.is_file(), f"{variable}: no such binary: {source} (run make build)"
    if CHROOT:
        return source
    target = Path(directory) / f"{source.name}-{variable.lower()}" / source.name
    target.parent.mkdir(exist_ok=True)
    target.parent.chmod(0o755)
    shutil.copy2(source, target)
    target.chmod(0o755)
    return target


def wal_directory_of(server, path):
    """`path`/pg_wal, an empty directory of which pg_control says that it is the server's."""
    for name in ("pg_wal", "global"):
        (path / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(server.data / "global" / "pg_control", path / "global" / "pg_control")
    for each in (path, path / "global", path / "global" / "pg_control"):
        give_to_owner(each)
    return give_to_owner(path / "pg_wal")
