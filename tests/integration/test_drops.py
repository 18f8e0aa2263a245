"""A recovery that ends within DROP DATABASE or another work on files, wherever its ends lie."""
import re
from pathlib import Path

import pytest

from dropping import held_within_drop
from pgserver import wait_for

ROWS = 100
SEGMENTS = 40  # of 1 MiB each, that the drop goes over


class Scene:
    """A cluster in which a drop waits for its checkpoint, while others write."""

    def __init__(self, shared, name):
        self.shared, self.name = shared, name
        self.server, self.backstay = shared.pair(name=name, wal_segsize_mb=1)
        self.server.make_markers()
        self.server.script("CREATE DATABASE doomed")
        self.server.script("CREATE TABLE t AS SELECT generate_series(1, %d) AS i" % ROWS,
                           dbname="doomed")
        self.backstay.backup()

    def write_far(self):
        for _ in range(SEGMENTS):
            self.server.rows("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 1000000))")

    def archive(self):
        """Without the checkpoint that a clean archive would not need either."""
        self.server.rows("SELECT pg_switch_wal()")
        status = Path(self.server.data / "pg_wal" / "archive_status")
        wait_for("the archiver", lambda: not list(status.glob("*.ready")))

    def plan(self, *options):
        return self.backstay.attempt("restore", "orders", "--to", self.backstay.home / "never",
                                     "--dry-run", "--json", *options)

    def restore(self, name, *options):
        restored = self.shared.restored(f"{self.name}-{name}")
        report = self.backstay.restore(restored.data, "--no-archive", *options)
        restored.start_restored()
        return report, restored

    def first_record(self, caution):
        return re.search(r"--at (lsn:\S+) --exclusive", caution).group(1)


def assert_whole(restored, notes):
    assert restored.value("SELECT count(*) FROM t", dbname="doomed") == ROWS
    assert restored.markers() == notes
    restored.stop()


@pytest.fixture(scope="module")
def scene(shared):
    """The archive ended within the drop when `ended` was planned; then the drop went on."""
    made = Scene(shared, "far")
    made.server.mark("before")
    with held_within_drop(made.server):
        made.write_far()
        made.archive()
        made.quiet = made.plan("--at", "latest")
        made.restore_quiet = made.restore("quiet", "--at", "latest")
        made.inside = made.server.mark("inside")
        made.write_far()
        made.archive()
        made.busy = made.plan("--at", "latest")
        made.restore_busy = made.restore("busy", "--at", "latest")
        made.server.mark("later")
        made.write_far()
    made.after = made.server.mark("after")
    made.archive()
    yield made
    made.server.stop()


def test_an_archive_that_ends_within_a_drop(scene):
    """Nobody has committed meanwhile: the state before it is the whole one."""
    report, restored = scene.restore_quiet
    assert scene.quiet.json()["stop"] == report["stop"] and report["stop"]["kind"] == "lsn"
    assert_whole(restored, ["before"])


def test_an_archive_that_ends_within_a_drop_behind_others(scene):
    """Their rows come back, the plan says what is missing, and how to have it instead."""
    report, restored = scene.restore_busy
    assert report["stop"]["kind"] == "latest" and "only in name" in report["caution"], report
    assert scene.busy.json()["caution"] == report["caution"]
    assert restored.markers() == ["before", "inside"]
    restored.script("DROP DATABASE doomed")
    restored.stop()
    _, restored = scene.restore("busy-before", "--at", scene.first_record(report["caution"]),
                                "--exclusive")
    assert_whole(restored, ["before"])


def test_a_stop_far_from_both_ends_of_a_drop(scene):
    """More than any fixed number of segments: the targets around it are told."""
    for at in (scene.inside.time, f"xid:{scene.inside.xid}", f"lsn:{scene.inside.lsn}"):
        result = scene.plan("--at", at)
        assert result.status == 3, result
        before, after = re.search(r"--at (lsn:\S+) --exclusive for the state before it, or --at "
                                  r"(xid:\d+) for", result.stderr).groups()
    _, restored = scene.restore("told-before", "--at", before, "--exclusive")
    assert_whole(restored, ["before"])
    report, restored = scene.restore("told-after", "--at", after)
    assert "doomed" not in restored.databases() and report["caution"] is None
    assert restored.markers() == ["before", "inside", "later"]
    restored.stop()


def test_behind_the_drop_nothing_is_said(scene):
    for at in ("latest", f"xid:{scene.after.xid}"):
        assert scene.plan("--at", at).json()["caution"] is None


def test_a_snapshot_that_lies_within_a_drop(shared):
    """It begins behind the first record of the drop, and ends before the last."""
    made = Scene(shared, "inside")
    made.server.mark("before")
    made.archive()
    with held_within_drop(made.server, goes_on=True):
        snapshot = made.backstay.backup()["snapshot"]
        made.server.mark("behind it")
        made.archive()
        open_end = made.plan("--at", snapshot)
    made.archive()
    # While nobody knows how it ends, it is restored as it was.
    assert "only in name" in open_end.json()["caution"], open_end
    for at in (snapshot, "immediate"):
        result = made.plan("--at", at)
        assert result.status == 3, result
    before, after = re.search(r"--at (lsn:\S+) --exclusive for the state before it, or --at "
                              r"(xid:\d+) for", result.stderr).groups()
    _, restored = made.restore("before", "--at", before, "--exclusive")
    assert_whole(restored, ["before"])
    report, restored = made.restore("after", "--at", after)
    assert report["snapshot"] == snapshot and "doomed" not in restored.databases()
    restored.stop()
    assert made.plan("--at", "latest").json()["caution"] is None
    made.server.stop()


@pytest.mark.parametrize("strategy", ["wal_log", "file_copy"])
def test_within_a_creation_nothing_is_lost(shared, strategy):
    """Files come before the commit, too: stopping there leaves some that nothing names, and the
    same can be created again. No target is moved."""
    server, backstay = shared.pair(name=f"made-{strategy}", wal_segsize_mb=1)
    server.make_markers()
    backstay.backup()
    server.mark("before")
    server.script("CREATE DATABASE made" + (f" STRATEGY {strategy}" if server.version >= 15 else ""))
    xid = server.mark("after").xid - 1
    server.archive_all()
    server.stop()
    restored = shared.restored(f"unmade-{strategy}")
    report = backstay.restore(restored.data, "--at", f"xid:{xid}", "--exclusive", "--no-archive")
    restored.start_restored()
    assert report["caution"] is None
    assert restored.markers() == ["before"] and "made" not in restored.databases()
    restored.script("CREATE DATABASE made")
    assert restored.value("SELECT 1", dbname="made") == 1
    restored.stop()
