"""What was in a repository and is not any more: the host remembers, and everybody says so."""
import re
import shutil

import pytest

import place
from pgserver import wait_for


def keep_marks(backstay, server, path):
    """Both commands and the archiver remember in one directory."""
    text = backstay.config.read_text(encoding="utf-8")
    backstay.write_config(f"state_dir: {path}\n{text}")
    server.script("SELECT 1")


@pytest.fixture
def pair(ws):
    server, backstay = ws.pair(wal_segsize_mb=1)
    keep_marks(backstay, server, ws.path / "state")
    server.script("CREATE TABLE t (id int)")
    server.archive_all()
    backstay.backup()
    server.script("INSERT INTO t VALUES (1)")
    server.archive_all()
    backstay.backup()
    server.archive_all()
    assert backstay.status()["ok"]
    return server, backstay


def problems(backstay):
    report = backstay.status()
    assert not report["ok"]
    return "\n".join(report["problems"])


def test_a_snapshot_that_was_removed_is_noticed(pair):
    _, backstay = pair
    newest = backstay.complete()[-1]
    manifest, = [path for path in backstay.objects("orders/snapshots") if path.name == newest]
    manifest.unlink()
    assert re.search(f"snapshot {newest}, the last .* is not there any more", problems(backstay))
    result = backstay.attempt("-q", "backup", "orders", "--json")
    assert result.status == 1, result
    backstay.assert_one_line(result, f"is complete, but what was there before is not: snapshot {newest}")
    taken = result.json()["snapshot"]
    assert taken in backstay.complete()
    assert backstay.status()["ok"]


def test_wal_that_was_removed_is_noticed(pair):
    server, backstay = pair
    newest = max(path.name for path in backstay.objects("orders/wal") if len(path.name) == 24)
    segment, = [path for path in backstay.objects("orders/wal") if path.name == newest]
    segment.unlink()
    assert f"WAL segment {newest}, which this host has put" in problems(backstay)
    server.stop()
    assert f"WAL segment {newest}, which this host has put" in problems(backstay)


@pytest.mark.parametrize("how", ["source", "repository"])
def test_a_source_that_was_there_is_not_begun_anew(pair, how):
    """Neither by backup nor by wal push, until --new is given."""
    server, backstay = pair
    if how == "source":
        shutil.rmtree(backstay.repository / "orders")
        pattern = "holds nothing of \"orders\" any more.*backup orders --new"
    else:
        shutil.rmtree(backstay.repository)
        backstay.run("init")
        pattern = "is not the one in this place.*backup orders --new"
    assert re.search(pattern, problems(backstay), re.S)
    backstay.fails(1, pattern, "backup", "orders")
    server.script("INSERT INTO t VALUES (2)", "SELECT pg_switch_wal()")
    wait_for("the archiver to fail",
             lambda: server.value("SELECT failed_count FROM pg_stat_archiver") > 0)
    assert not (backstay.repository / "orders").exists()
    backstay.backup("--new")
    wait_for("the archiver", lambda: not list(
        (server.data / "pg_wal" / "archive_status").glob("*.ready")), seconds=120)
    server.archive_all()
    assert backstay.status()["ok"]
    backstay.backup()


def test_a_state_directory_that_cannot_be_used_is_a_warning(ws):
    """Archiving and backups go on, and say what is not noticed."""
    server, backstay = ws.pair(wal_segsize_mb=1)
    blocked = ws.path / "state"
    blocked.write_text("a file")
    place.give_to_owner(blocked)
    keep_marks(backstay, server, blocked)
    server.script("CREATE TABLE t (id int)")
    server.archive_all()
    result = backstay.attempt("-q", "backup", "orders", "--json")
    assert result.status == 0 and f"state_dir \"{blocked}\"" in result.stderr, result
    assert f"state_dir \"{blocked}\"" in server.log_tail()
    blocked.unlink()
    place.make_directory(blocked)
    backstay.backup()
    marks, = (blocked / "orders").iterdir()
    content = marks.read_bytes()
    marks.write_bytes(content[:40])
    result = backstay.attempt("status", "orders")
    assert result.status == 0 and "malformed marks" in result.stderr, result
    assert backstay.attempt("backup", "orders").status == 0
    result = backstay.attempt("status", "orders")
    assert result.status == 0 and result.stderr == "", result
