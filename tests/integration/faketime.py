"""Clocks that can be set, for programs that are started with libfaketime."""
from pathlib import Path

LIBRARIES = Path("/usr/lib/x86_64-linux-gnu/faketime")
LIBRARY = LIBRARIES / "libfaketime.so.1"
THREADS_LIBRARY = LIBRARIES / "libfaketimeMT.so.1"
SHARED = Path("/dev/shm")


def _has_it_loaded(pid):
    try:
        return "/libfaketime" in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        return True


def remove_leftovers():
    """The library names its shared memory and semaphore by the process that makes them, and leaves
    them behind when that is killed or becomes another program; the next process of that number
    then fails. No setting of version 0.9.10 is against it."""
    for kind in ("faketime_shm_", "sem.faketime_sem_"):
        for path in SHARED.glob(f"{kind}[0-9]*"):
            if not _has_it_loaded(path.name.removeprefix(kind)):
                try:
                    path.unlink(missing_ok=True)
                except PermissionError:  # another user's
                    pass
