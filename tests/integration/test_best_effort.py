"""Repositories of best effort: their failures are warnings, and what they miss comes later."""
import os
import socket
import subprocess

import pytest

import compare
import place
from backstay import Backstay
from pgserver import wait_for

pytestmark = pytest.mark.once


class Scene:
    """A server that archives into `local` (required) and `second` (best effort)."""

    def __init__(self, ws, second=None):
        self.ws = ws
        self.server, self.backstay = ws.pair()
        self.second = second or ws.path / "second"
        key = ws.path / "second.key"
        self.backstay.edit_config(
            "sources:", f"  second: {{ path: {self.second}, key_file: {key} }}\nsources:")
        self.backstay.edit_config("to: [local]", "to: [second, local]\n    best_effort: [second]")
        self.backstay.run("init")
        self.server.make_markers()
        # Another configuration, as on another machine, that knows nothing of the first repository.
        self.alone = Backstay(ws.binary, ws.path, self.server, name="alone")
        self.alone.write_config(
            self.backstay.config.read_text(encoding="utf-8")
            .replace("to: [second, local]\n    best_effort: [second]", "to: [second]"))

    def backup(self, *args):
        """The JSON report, whether `second` has the snapshot, and the warnings."""
        result = self.backstay.attempt("backup", "orders", "--json", *args)
        assert result.status == 0, result
        report = result.json()
        local, second = (next(row for row in report["repositories"] if row["name"] == name)
                         for name in ("local", "second"))
        assert local["required"] and local["state"] == "complete" and local["why"] is None, report
        is_complete = second["state"] == "complete"
        assert not second["required"] and is_complete == (second["why"] is None), report
        warnings = [line for line in result.stderr.splitlines() if " warning: " in line]
        return report, is_complete, warnings

    def standing(self):
        """What status says of `second`, and the problems that name it."""
        report = self.backstay.status()
        standing = next(row for row in report["repositories"] if row["name"] == "second")
        problems = [text for text in report["problems"] if "second" in text]
        assert all("best effort" in text for text in problems), problems
        return standing, problems

    def manifests(self):
        return {path.name for path in self.second.glob("orders/snapshots/*")}

    def segments(self, top):
        return {path.name for path in top.rglob("*")
                if path.is_file() and "wal" in path.parts and len(path.name) == 24}

    def archive(self, note):
        """A commit in WAL that is archived in the required repository."""
        marker = self.server.mark(note)
        self.server.archive_all()
        return marker

    def assert_whole(self, name):
        """What the server was when it was stopped is what `second` alone restores."""
        target = self.ws.path / name
        self.alone.run("restore", "orders", "--to", target, "--at", "immediate")
        compare.assert_equal(self.server.data, target)


def away(path):
    return path.rename(path.with_suffix(".away"))


def test_away_and_back(ws):
    """Missing at a backup and at WAL pushes; the next backup catches it up."""
    scene = Scene(ws)
    report, ok, warnings = scene.backup()
    assert ok and not warnings
    assert scene.manifests() == {report["snapshot"]}
    assert scene.segments(scene.second) == scene.segments(scene.backstay.repository)
    assert scene.standing()[0]["missing_snapshots"] == 0

    moved = away(scene.second)
    scene.archive("while it is away")  # the archiver goes on
    missed, ok, warnings = scene.backup()
    assert not ok
    assert len(warnings) == 1 and "second" in warnings[0] and "copy" in warnings[0], warnings
    text = scene.backstay.run("backup", "orders").stdout
    assert "complete in 1 repository." in text and "second" in text, text
    standing, problems = scene.standing()
    assert not standing["reachable"] and standing["why"] and problems
    assert "cannot be asked" in scene.backstay.attempt("status", "orders").stdout

    moved.rename(scene.second)
    standing, problems = scene.standing()
    assert standing["reachable"] and standing["behind"] and problems
    assert standing["missing_snapshots"] == 2 and standing["missing_segments"] >= 1
    assert missed["snapshot"] not in scene.manifests()
    assert "lacks 2 snapshots" in scene.backstay.attempt("status", "orders").stdout

    scene.server.settle()
    report, ok, warnings = scene.backup()
    assert ok and not warnings, warnings
    assert report["mode"] == "incremental", "what one of best effort lacks must not be read anew"
    assert scene.manifests() == {row["snapshot"] for row in scene.backstay.snapshots()}
    assert scene.segments(scene.second) >= scene.segments(scene.backstay.repository)
    standing, problems = scene.standing()
    assert not standing["behind"] and not problems and standing["missing_segments"] == 0
    scene.server.stop()
    away(scene.backstay.repository)
    scene.assert_whole("restored")


def test_wal_that_it_missed_comes_with_the_next_backup(ws):
    """Away between two backups only: what is missing then is nothing but WAL."""
    scene = Scene(ws)
    first, _, _ = scene.backup()
    moved = away(scene.second)
    marker = scene.archive("while it is away")
    moved.rename(scene.second)
    standing, _ = scene.standing()
    assert standing["missing_segments"] >= 1
    scene.archive("after it")
    report, ok, _ = scene.backup()
    assert ok and scene.manifests() == {first["snapshot"], report["snapshot"]}
    assert scene.segments(scene.second) >= scene.segments(scene.backstay.repository)
    scene.server.stop()
    away(scene.backstay.repository)
    plan = scene.alone.json("restore", "orders", "--to", ws.path / "never", "--dry-run",
                            "--at", f"xid:{marker.xid}")
    assert plan["snapshot"] == first["snapshot"]


def test_a_new_one_gets_what_is_there(ws):
    """A repository that is empty gets the snapshot at hand, not only what changed."""
    scene = Scene(ws)
    away(scene.second)
    scene.backup()
    scene.backstay.run("init")
    scene.server.settle()
    report, ok, warnings = scene.backup()
    assert ok and not warnings, warnings
    assert report["mode"] == "incremental"
    assert scene.manifests() == {report["snapshot"]}
    standing, problems = scene.standing()
    assert standing["missing_snapshots"] == 1 and not standing["behind"] and not problems
    scene.server.stop()
    scene.assert_whole("restored")


@pytest.mark.once
@pytest.mark.skipif(not place.IS_ROOT or bool(place.CHROOT), reason="mounts a small file system, "
                    "for which one must be root of the whole system")
def test_full_in_the_middle(ws):
    """Its disk gets full while packs are put: it is dropped, and the backup goes on."""
    small = ws.directory("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", small], check=True)
    place.give_to_owner(small)
    scene = Scene(ws, small / "second")
    scene.server.script("CREATE TABLE noise AS SELECT string_agg(md5(random()::text), '') t"
                        " FROM generate_series(1, 400000) g GROUP BY g % 4000")
    scene.server.settle()
    report, ok, warnings = scene.backup()
    assert not ok and [line for line in warnings if "second" in line]
    assert scene.manifests() == set()
    assert scene.backstay.complete() == [report["snapshot"]]
    subprocess.run(["mount", "-o", "remount,size=400m", small], check=True)
    _, ok, warnings = scene.backup()
    assert ok and not warnings, warnings
    assert len(scene.manifests()) == 1, "it had none from which to catch up"
    scene.server.stop()
    scene.assert_whole("restored")


def test_one_that_cannot_be_written(ws):
    """It can be read and not be written: dropped at the first attempt."""
    scene = Scene(ws)
    scene.backup()
    directories = [path for path in [scene.second, *scene.second.rglob("*")] if path.is_dir()]
    for path in directories:
        path.chmod(0o500)
    try:
        marker = scene.archive("it may not be written")
        _, ok, warnings = scene.backup()
        assert not ok and len(warnings) == 1, warnings
    finally:
        for path in directories:
            path.chmod(0o700)
    _, ok, _ = scene.backup()
    assert ok
    scene.alone.run("restore", "orders", "--to", ws.path / "never", "--dry-run", "--at",
                    f"xid:{marker.xid}")


def test_the_archiver_does_not_wait_for_one_that_hangs(ws):
    """A bucket whose server takes connections and never answers, tried for an hour."""
    server, backstay = ws.pair(settings={"archive_command": "/bin/false"})
    credentials = ws.path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    credentials.chmod(0o600)
    place.give_to_owner(credentials)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        backstay.edit_config("sources:", f"""\
  second:
    key_file: {backstay.key_file}
    s3:
      bucket: bucket
      endpoint: http://127.0.0.1:{hanging.getsockname()[1]}
      credentials_file: {credentials}
      retry: 1h
      idle_timeout: 1h
sources:""")
        backstay.edit_config("to: [local]", "to: [second, local]\n    best_effort: [second]")
        server.make_markers()
        server.rows("SELECT pg_switch_wal()")
        segment = server.data / "pg_wal" / server.value(
            "SELECT pg_walfile_name(pg_current_wal_lsn() - 1)")
        result = backstay.attempt("wal", "push", "orders", segment, timeout=120)
        assert result.status == 0 and "second" in result.stderr, result
        assert [path for path in backstay.objects("orders/wal") if path.name == segment.name]
        # What the first repository has is fetched without waiting for the other one.
        backstay.edit_config("to: [second, local]", "to: [local, second]")
        backstay.run("wal", "fetch", "orders", segment.name, ws.directory("fetched") / "file")


def test_a_required_one_fails_as_ever(ws):
    """Without a required repository nothing succeeds, and what can be kept safe elsewhere is."""
    scene = Scene(ws)
    first, _, _ = scene.backup()
    server, backstay = scene.server, scene.backstay
    moved = away(backstay.repository)
    backstay.fails(1, "local", "backup", "orders")
    assert scene.manifests() == {first["snapshot"]}
    marker = server.mark("in the second only")
    server.rows("SELECT pg_switch_wal()")
    segment = server.data / "pg_wal" / server.value(
        "SELECT pg_walfile_name(pg_current_wal_lsn() - 1)")
    backstay.fails(1, "local", "wal", "push", "orders", segment)
    assert segment.name in scene.segments(scene.second)
    moved.rename(backstay.repository)
    wait_for("the archiver", lambda: segment.name in scene.segments(backstay.repository), 120)
    _, ok, _ = scene.backup()
    assert ok
    backstay.run("restore", "orders", "--to", ws.path / "never", "--dry-run", "--at",
                 f"xid:{marker.xid}")


def test_fetch_asks_all(ws):
    """Absent is said when all were asked; best effort does not matter for reading."""
    scene = Scene(ws)
    scene.backup()
    moved = away(scene.second)
    scene.archive("in the first only")
    names = scene.segments(scene.backstay.repository) - scene.segments(moved)
    moved.rename(scene.second)
    backstay = scene.backstay
    target = place.wal_directory_of(scene.server, ws.path / "fetched") / "file"
    newest, absent = max(names), "0000000100000000000000FF"

    def fetch(name):
        if target.exists():
            target.unlink()
        return backstay.attempt("wal", "fetch", "orders", name, target, "--prefetch", "0").status

    assert fetch(newest) == 0 and fetch(absent) == 3
    moved = away(scene.second)
    assert fetch(newest) == 0 and fetch(absent) == 1
    moved.rename(scene.second)
    common = max(scene.segments(scene.second))
    moved = away(backstay.repository)
    assert fetch(common) == 0
    assert fetch(newest) == 1, "whether the repository that is away has it is not known"
    assert fetch(absent) == 1
    moved.rename(backstay.repository)
    assert fetch(absent) == 3
    # A restore reads each object from whoever has it whole.
    for path in backstay.objects("orders/packs"):
        os.truncate(path, path.stat().st_size // 2)
    backstay.run("restore", "orders", "--to", ws.path / "elsewhere", "--at", "immediate")


def test_what_the_plan_counted_on_is_not_passed_by(ws):
    """One of best effort that is away is not asked for more than the plan has seen; a required one
    always is, and one that was chosen is the only one."""
    scene = Scene(ws)
    scene.backup()
    scene.archive("in both")
    backstay = scene.backstay
    target = place.wal_directory_of(scene.server, ws.path / "fetched") / "file"
    last = max(scene.segments(scene.second))
    after, history = f"{int(last, 16) + 1:024X}", "00000003.history"

    def fetch(name, *options):
        return backstay.attempt("wal", "fetch", "orders", name, target, "--prefetch", "0",
                                *options).status

    beyond, short = ("--reach", f"00000002{last[8:]}"), ("--reach", f"00000003{after[8:]}")
    moved = away(scene.second)
    assert fetch(after) == 1 and fetch(history) == 1
    assert fetch(after, *beyond) == 3 and fetch(history, *beyond) == 3
    assert fetch(after, *short) == 1 and fetch(history, *short) == 1
    assert fetch(after, "--repository", "local") == 3
    assert fetch(last, "--repository", "second") == 1
    assert fetch(last, "--repository", "third") == 2
    moved.rename(scene.second)
    assert fetch(last, "--repository", "second") == 0
    moved = away(backstay.repository)
    assert fetch(after, *beyond) == 1 and fetch(last, *beyond) == 0
    moved.rename(backstay.repository)
