"""Measures a piece of work: wall time, CPU time of the whole process tree, and peak memory.

The work runs below a process of its own that adopts orphans (PR_SET_CHILD_SUBREAPER), so that
processes which a program leaves behind, such as an asynchronous archiver, are counted as well.
"""
import ctypes
import json
import os
import resource
import signal
import subprocess
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.05
ORPHAN_SECONDS = 60


class WorkFailed(Exception):
    """The measured work exited with an error; its output is in the message."""


def measure(work, log, cwd=None):
    """Runs `work`, an argument list or a function that spawns processes, and returns a dict of
    wall (seconds), cpu (seconds, user and system) and peak (bytes, sum over the processes that
    live at once of the most that each has held). Output goes to the file `log`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.close(reader)
        result = _run_apart(work, log, cwd)
        with os.fdopen(writer, "w") as out:
            json.dump(result, out)
        os._exit(0)
    os.close(writer)
    try:
        with os.fdopen(reader) as answer:
            text = answer.read()
    except BaseException:  # an interrupt: nothing that was started may outlive the bench
        os.killpg(child, signal.SIGKILL)
        raise
    finally:
        os.waitpid(child, 0)
    result = json.loads(text) if text else {"error": "the measuring process died"}
    if "error" in result:
        raise WorkFailed(f"{_describe(work)}: {result['error']}\n{_tail(log)}")
    return result


def _describe(work):
    return " ".join(work) if isinstance(work, list) else work.__name__


def _tail(path, size=2000):
    if not os.path.exists(path):
        return ""
    with open(path, errors="replace") as log:
        return log.read()[-size:]


def _run_apart(work, log, cwd):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if cwd:
        os.chdir(cwd)
    peak = _Peak()
    peak.start()
    started = time.monotonic()
    error = None
    try:
        if isinstance(work, list):
            with open(log, "w") as out:
                subprocess.run(work, stdout=out, stderr=out, stdin=subprocess.DEVNULL, check=True)
        else:
            work(log)
    except (subprocess.CalledProcessError, OSError) as failure:
        error = str(failure)
    wall = time.monotonic() - started
    _reap_orphans()
    peak.stop()
    if error:
        return {"error": error}
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": peak.bytes}


def _reap_orphans():
    deadline = time.monotonic() + ORPHAN_SECONDS
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.01)


class _Peak(threading.Thread):
    """Samples the high-water marks of all descendants. A mark outlives the moment that set it,
    so a coarse interval misses only what a process allocates in its last instants."""

    def __init__(self):
        super().__init__(daemon=True)
        self.bytes = 0
        self._done = threading.Event()

    def run(self):
        while not self._done.wait(SAMPLE_SECONDS):
            total = sum(_high_water(pid) for pid in _descendants(os.getpid()))
            self.bytes = max(self.bytes, total)

    def stop(self):
        self._done.set()
        self.join()


def _descendants(pid):
    found = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop())
        found += children
        waiting += children
    return found


def _children(pid):
    children = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as listing:
                children += [int(child) for child in listing.read().split()]
    except OSError:
        pass  # it ended while being looked at
    return children


def _high_water(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
