"""A standalone snapshot within whose own WAL, which no archive has, a database is being dropped."""

import pytest

from dropping import held_within_drop
from pgserver import wait_for

pytestmark = pytest.mark.once


class Scene:
    """A server without an archive."""

    def __init__(self, shared):
        self.shared = shared
        self.server, self.backstay = shared.pair(name="alone", wal_segsize_mb=1,
                                                 settings={"archive_mode": "off"})
        self.server.make_markers()
        self.server.mark("before")
        for name in ("doomed", "other"):
            self.server.script(f"CREATE DATABASE {name}")
        self.server.script("CREATE TABLE t AS SELECT 1 AS i", dbname="doomed")

    def redo(self):
        return self.server.value("SELECT redo_lsn::text FROM pg_control_checkpoint()")

    def backup_within(self):
        """A snapshot that begins before a drop, and ends before the drop does: it takes a few
        seconds."""
        self.backstay.edit_config("    workers: 2", "    workers: 2\n    max_rate: 10MiB")
        before = self.redo()
        backup = self.backstay.start("backup", "orders", "--standalone", "--full", "--json")
        wait_for("the start of the backup", lambda: self.redo() != before)
        with held_within_drop(self.server):
            self.server.mark("inside")
            result = self.backstay.finish(backup)
        assert result.status == 0, result
        return result.json()["snapshot"]


@pytest.fixture(scope="module")
def scene(shared):
    made = Scene(shared)
    made.whole = made.backstay.backup("--standalone")["snapshot"]
    made.cut = made.backup_within()
    made.server.stop()
    return made


def plan(scene, *options):
    return scene.backstay.attempt("restore", "orders", "--to", scene.shared.path / "never",
                                  "--dry-run", "--json", *options)


def test_a_snapshot_that_ends_within_a_drop_is_told(scene):
    """There is no state behind it: it is restored as it was, and said what is only in name."""
    for at in (scene.cut, "latest", "immediate"):
        result = plan(scene, "--at", at)
        assert result.status == 0 and result.json()["snapshot"] == scene.cut, result
        assert "only in name" in result.json()["caution"], result
    restored = scene.shared.restored("cut")
    scene.backstay.restore(restored.data, "--at", scene.cut, "--no-archive")
    restored.start_restored()
    assert restored.markers() == ["before", "inside"]
    assert restored.value("SELECT datconnlimit FROM pg_database WHERE datname = 'doomed'") == -2
    restored.script("DROP DATABASE doomed")
    restored.stop()


def test_one_without_a_drop_has_no_caution(scene):
    assert plan(scene, "--at", scene.whole).json()["caution"] is None
