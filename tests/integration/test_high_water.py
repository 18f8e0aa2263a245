"""What was in a repository and is not any more: the host remembers, and everybody says so."""
import json
import re
import shutil

import pytest

import place
from pgserver import wait_for


def keep_marks(backstay, path):
    """Both commands and the archiver remember in one directory."""
    text = backstay.config.read_text(encoding="utf-8")
    backstay.write_config(f"state_dir: {path}\n{text}")


@pytest.fixture
def pair(ws):
    server, backstay = ws.pair(wal_segsize_mb=1)
    keep_marks(backstay, ws.path / "state")
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
    saved = shutil.copy(manifest, backstay.home / "saved")
    manifest.unlink()
    assert re.search(f"snapshot {newest}, the last .* is not there any more", problems(backstay))
    result = backstay.attempt("-q", "backup", "orders", "--json")
    assert result.status == 1, result
    backstay.assert_one_line(result, f"is complete, but what was there before is not: snapshot {newest}")
    taken = result.json()["snapshot"]
    assert taken in backstay.complete()
    backstay.backup()  # it is said once ...
    for _ in range(2):  # ... and not forgotten
        assert re.search(f"snapshot {newest}, .* was removed", problems(backstay))
    shutil.copy(saved, manifest)
    place.give_to_owner(manifest)
    assert backstay.status()["ok"], "it is there again"
    manifest.unlink()
    backstay.backup("--new")
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


def test_an_older_key_is_no_successor(pair):
    """Somebody put an older state of the keys in place: neither command goes on with it."""
    server, backstay = pair
    marks, = (backstay.home / "state" / "orders").glob("*.marks")
    text = marks.read_text()
    assert "generation 1\n" in text
    marks.write_text(text.replace("generation 1\n", "generation 2\n"))
    pattern = "no key 2 of \"orders\" any more, only key 1.*backup orders --new"
    assert re.search(pattern, problems(backstay))
    backstay.fails(1, pattern, "backup", "orders")
    server.script("INSERT INTO t VALUES (2)")
    segment = server.data / "pg_wal" / server.value("SELECT pg_walfile_name(pg_switch_wal())")
    backstay.fails(1, pattern, "wal", "push", "orders", segment)
    backstay.backup("--new")
    server.archive_all()
    assert backstay.status()["ok"]


BESIDE = """\
  beside: {{ path: {path}, key_file: {key} }}
sources:"""


@pytest.fixture
def beside(ws):
    """A repository of best effort beside the required one."""
    server = ws.server()
    backstay = ws.backstay(server)
    path = ws.path / "beside.repo"
    backstay.edit_config("sources:", BESIDE.format(path=path, key=ws.path / "beside.key"))
    backstay.edit_config("to: [local]", "to: [local, beside]\n    best_effort: [beside]")
    keep_marks(backstay, ws.path / "state")
    server.init(settings={"archive_command": backstay.archive_command()}, wal_segsize_mb=1)
    backstay.run("init")
    server.start()
    server.script("CREATE TABLE t (id int)")
    server.archive_all()
    backstay.backup()
    server.archive_all()
    assert backstay.status()["ok"]
    return server, backstay, path


def test_what_was_removed_from_a_repository_of_best_effort_is_noticed(beside):
    server, backstay, path = beside
    newest = backstay.complete()[-1]
    shutil.rmtree(path / "orders" / "snapshots")
    assert re.search(f"snapshot {newest}, .* into repository \"beside\"", problems(backstay))
    shutil.rmtree(path / "orders")
    pattern = "repository \"beside\" holds nothing of \"orders\" any more"
    assert re.search(pattern, problems(backstay))
    report = backstay.backup()
    row, = [row for row in report["repositories"] if row["name"] == "beside"]
    assert re.search(pattern, json.dumps(row).replace("\\", "")), row
    server.script("INSERT INTO t VALUES (2)")
    server.archive_all()
    assert not (path / "orders").exists(), "it is not begun anew in silence"
    backstay.backup("--new")
    server.archive_all()
    assert (path / "orders").exists()
    assert backstay.status()["ok"]


def test_a_state_directory_that_cannot_be_used_is_a_warning(ws):
    """Archiving and backups go on, and say what is not noticed."""
    server, backstay = ws.pair(wal_segsize_mb=1)
    blocked = ws.path / "state"
    blocked.write_text("a file")
    place.give_to_owner(blocked)
    keep_marks(backstay, blocked)
    server.script("CREATE TABLE t (id int)")
    server.archive_all()
    result = backstay.attempt("-q", "backup", "orders", "--json")
    assert result.status == 0 and f"state_dir \"{blocked}\"" in result.stderr, result
    assert f"state_dir \"{blocked}\"" in server.log_tail()
    blocked.unlink()
    place.make_directory(blocked)
    backstay.backup()
    server.archive_all()  # or the archiver mends what is spoilt now
    marks, = (blocked / "orders").iterdir()
    content = marks.read_bytes()
    marks.write_bytes(content[:40])
    result = backstay.attempt("status", "orders")
    assert result.status == 0 and "malformed marks" in result.stderr, result
    assert backstay.attempt("backup", "orders").status == 0
    result = backstay.attempt("status", "orders")
    assert result.status == 0 and result.stderr == "", result
