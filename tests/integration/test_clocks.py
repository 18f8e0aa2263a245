"""Clocks that are wrong, and processes that were stopped: who holds a lease, what is archived, and
what a restore to a time brings."""
import contextlib
import re
import signal
import time
from pathlib import Path

import pytest

import place
from backstay import interrupt
from faketime import Clock
from pgserver import wait_for

pytestmark = pytest.mark.once

AHEAD, BEHIND = "+365d", "-1d"


class Scene:
    """A server that archives into `local` while no file `hold` is there, by a program whose clock
    can be set; `second` is of best effort. The program is the fault build, whose leases last as
    many seconds as a test says."""

    def __init__(self, ws, binary):
        self.ws = ws
        self.home = ws.path
        self.binary = binary
        self.hold = ws.path / "hold"
        self.server, self.backstay = ws.pair(wal_segsize_mb=1)
        self.second = ws.path / "second"
        self.backstay.edit_config("sources:", f"  second: {{ path: {self.second}, "
                                              f"key_file: {ws.path}/second.key }}\nsources:")
        self.backstay.edit_config("to: [local]", "to: [local, second]\n    best_effort: [second]")
        self.backstay.run("init")
        text = self.backstay.config.read_text(encoding="utf-8")
        self.alone = ws.backstay(self.server, name="alone", text=text.replace(
            "to: [local, second]\n    best_effort: [second]", "to: [second]"))
        self.push_clock = Clock(self.home, "push")
        push = self.backstay.archive_command().replace(
            str(ws.binary), str(self.push_clock.program(ws.binary)))
        script = ws.path / "archive.sh"
        script.write_text(f"#!/bin/sh\nwhile [ -e {self.hold} ]; do sleep 0.1; done\n"
                          f"{push.replace('%p', '$1')}\n")
        script.chmod(0o755)
        place.give_to_owner(script)
        self.server.script(f"ALTER SYSTEM SET archive_command = '{script} %p'",
                           "SELECT pg_reload_conf()")
        self.server.make_markers()
        self.server.mark("first")
        self.backstay.backup()

    @contextlib.contextmanager
    def held(self):
        """Nothing is archived meanwhile."""
        self.hold.touch()
        try:
            yield
        finally:
            self.hold.unlink(missing_ok=True)

    def start(self, *args, backstay=None, clock=None, ttl=2, **env):
        binary = clock.program(self.binary) if clock else self.binary
        return (backstay or self.backstay).start(
            *args, binary=binary, env={"BACKSTAY_LEASE_TTL_MS": str(ttl * 1000), **env})

    def attempt(self, *args, **options):
        return self.backstay.finish(self.start(*args, **options))

    def holds_lease(self, process):
        lease = self.backstay.status()["lease"]
        return lease is not None and re.search(rf"process {process.pid}\b", lease["holder"])

    def take_over(self, *args, **options):
        """What a command says that finds the lease of a process that was stopped."""
        results = []

        def is_free():
            results.append(self.attempt(*args, ttl=3, **options))
            return results[-1].status != 4

        wait_for("the lease to run out", is_free)
        assert results[-1].status == 0, results[-1]

    def restored(self, name, clock, *args):
        copy = self.ws.restored(name)
        result = self.attempt("restore", "orders", "--to", copy.data, *args, clock=clock)
        assert result.status == 0, result
        copy.start_restored()
        found = copy.markers()
        copy.stop()
        return found


@pytest.fixture(scope="module")
def scene(shared):
    binary = place.staged_binary("BACKSTAY_FAULTS", place.ROOT / "build/faults/backstay",
                                          shared.directory("prog"))
    return Scene(shared, binary)


def test_no_clock_takes_a_lease_from_a_process_that_lives(scene):
    """The owner's clock jumps while it holds the lease, and the other's is wrong as well."""
    clock = Clock(scene.home, "owner")
    other = Clock(scene.home, "other")
    with scene.held():
        first = scene.start("backup", "orders", "--json", clock=clock, ttl=6)
        wait_for("the backup to take the lease", lambda: scene.holds_lease(first))
        scene.server.mark("during")
        for mine, others in (("+0", AHEAD), (AHEAD, "+0"), (BEHIND, "+0"), (AHEAD, BEHIND)):
            clock.set(mine)
            other.set(others)
            result = scene.attempt("backup", "orders", clock=other, ttl=6)
            assert result.status == 4 and "is held by process" in result.stderr, result
            assert first.poll() is None
        clock.set(BEHIND)
    result = scene.backstay.finish(first)
    assert result.status == 0, result
    scene.server.mark("after")
    scene.server.archive_all()
    assert scene.backstay.status()["lease"] is None
    assert scene.restored("live", None, "--at", "latest")[-2:] == ["during", "after"]


def is_stopped(process):
    return Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def await_stop(process):
    wait_for("the process to stop", lambda: process.poll() is not None or is_stopped(process))
    assert process.poll() is None, process.communicate()


def goes_on(scene, process):
    """What a stopped process says when it is continued."""
    interrupt(process, signal.SIGCONT)
    return scene.backstay.finish(process)


LOST = (r"the lease of source \"orders\" in repository \"{}\" was taken over by another process: this "
        r"process had not renewed it for \d+ s \(was it stopped")


def assert_lost(scene, result, repository="local"):
    assert result.status == 1, result
    scene.backstay.assert_one_line(result, LOST.format(repository))


@pytest.mark.parametrize("point, offset", [("backup.read", "+0"), ("backup.put-pack", AHEAD),
                                           ("backup.end", BEHIND)])
def test_a_backup_that_was_stopped_says_that_its_lease_is_lost(scene, point, offset):
    """Whatever its clock showed, another one takes over, in bounded time."""
    clock = Clock(scene.home, "stopped", offset)
    scene.server.mark(f"before {point} {offset}")
    first = scene.start("-q", "backup", "orders", "--full", clock=clock, BACKSTAY_FAULT=f"{point}:stop")
    await_stop(first)
    scene.take_over("backup", "orders")
    assert_lost(scene, goes_on(scene, first))


def test_a_backup_that_was_stopped_while_it_waited_for_wal(scene):
    pushed = scene.server.data / "pg_wal"
    with scene.held():
        first = scene.start("-q", "backup", "orders")
        wait_for("the backup to take the lease", lambda: scene.holds_lease(first))
        wait_for("the backup to wait", lambda: list(pushed.glob("archive_status/*.backup.ready")))
        interrupt(first, signal.SIGSTOP)
        second = scene.start("backup", "orders", "--break-lease")
        wait_for("the other to take the lease", lambda: scene.holds_lease(second))
        time.sleep(2)  # the first one's lease
        assert_lost(scene, goes_on(scene, first))
    result = scene.backstay.finish(second)
    assert result.status == 0, result


def test_a_best_effort_repository_that_another_took_over(scene):
    """Its loss is a warning; the required one's snapshot is kept."""
    first = scene.start("backup", "orders", "--full", "--json",
                        BACKSTAY_FAULT="backup.put-pack:stop")
    await_stop(first)
    scene.take_over("backup", "orders", "--standalone", backstay=scene.alone)
    result = goes_on(scene, first)
    assert result.status == 0, result
    assert re.search(r"\(best effort\) is left out.*" + LOST.format("second"), result.stderr), result
    scene.backstay.backup()


@pytest.mark.parametrize("point", ["copy.put-pack", "copy.put-manifest"])
def test_a_copy_that_was_stopped_says_that_its_lease_is_lost(scene, point):
    third = scene.home / f"third-{point}"
    text = scene.backstay.config.read_text(encoding="utf-8")
    bs = scene.ws.backstay(scene.server, name=point, text=text.replace(
        str(scene.second), str(third)).replace("second.key", f"{point}.key"))
    bs.run("init")
    args = ("copy", "orders", "--from", "local", "--to", "second")
    first = scene.start("-q", *args, backstay=bs, BACKSTAY_FAULT=f"{point}:stop")
    await_stop(first)
    scene.take_over(*args, backstay=bs)
    assert_lost(scene, goes_on(scene, first), "second")


def test_pushes_and_restores_under_any_clock(scene):
    """Rows at a time are those of the server's clock, whatever clock the programs have."""
    marks = []
    for offset in (BEHIND, AHEAD, "+0"):
        scene.push_clock.set(offset)
        marks.append(scene.server.mark(f"pushed {offset}"))
        scene.server.archive_all()
        marks.append(scene.server.mark(f"pushed {offset} again"))
        scene.server.archive_all()
    scene.server.mark("last")
    scene.server.archive_all()
    assert scene.backstay.status()["problems"] == []
    truth = scene.server.markers()
    restores = Clock(scene.home, "restore")
    for number, (mark, offset) in enumerate(zip(marks[::2] + marks[-1:], (AHEAD, BEHIND, "+0", AHEAD))):
        restores.set(offset)
        found = scene.restored(f"pushed{number}", restores, "--at", mark.commit_time)
        assert found == truth[:truth.index(mark.note) + 1], (mark, offset)
