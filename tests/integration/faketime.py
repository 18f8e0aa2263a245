"""Clocks that can be set, for programs that are started with libfaketime."""
from pathlib import Path

import place

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


class Clock:
    """A clock that programs run under, and that can be set while they run."""

    def __init__(self, home, name, offset="+0"):
        self.file = home / f"{name}.clock"
        self.home, self.name = home, name
        self.set(offset)

    def set(self, offset):
        self.file.write_text(offset, encoding="utf-8")
        place.give_to_owner(self.file)

    def program(self, binary):
        """A script, since what becomes another user must not be started with it."""
        script = self.home / f"{self.name}.sh"
        script.write_text(
            f"#!/bin/sh\nLD_PRELOAD={THREADS_LIBRARY} FAKETIME_TIMESTAMP_FILE={self.file} "
            f"FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 exec {binary} \"$@\"\n")
        script.chmod(0o755)
        return place.give_to_owner(script)
