"""Lines of a history: restores follow the cluster that lives, whatever else archived beside it."""
import dataclasses
import json
import os
import re
import shutil

import pytest

import faketime
import place
from backstay import Backstay
from pgserver import PgServer, wait_for
from rowtable import insert, restored_rows

CONFIG = """\
repositories:
  local: {{ path: {first}, key_file: {home}/{name}.key }}
  other: {{ path: {second}, key_file: {home}/{name}-other.key }}
sources:
  orders:
    postgres:
      connection: "{connection}"
      data: {data}
    to: [local, other]
    workers: 2
"""


def begin(server, backstay):
    server.script("CREATE TABLE rows (i int)")
    insert(server, 1)
    backstay.backup()
    insert(server, 2)
    server.archive_all()


def start_archiving(server):
    """A restored server that archives into the source it came from, until it is promoted."""
    server.start({"archive_mode": "on"})
    wait_for(f"the end of recovery of {server.name}",
             lambda: not server.value("SELECT pg_is_in_recovery()"))


def plan(backstay, *args):
    return backstay.json("restore", "orders", "--to", backstay.home / "nowhere", "--dry-run", *args)


def refused(backstay, pattern, *args):
    return backstay.fails(3, pattern, "restore", "orders", "--to", backstay.home / "nowhere",
                          "--dry-run", *args).stderr


def add_standby(ws, primary, name):
    standby = ws.server(name)
    primary.program("pg_basebackup", "-D", standby.data, "-R", "-X", "stream", "-c", "fast",
                    "-d", primary.conninfo())
    standby.start()
    return standby


def wait_replayed(primary, standby):
    lsn = primary.value("SELECT pg_current_wal_lsn()::text")
    wait_for("the standby", lambda: standby.value(
        "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", lsn))


def promote(standby):
    standby.program("pg_ctl", "-D", standby.data, "-w", "promote")


@dataclasses.dataclass
class Stray:
    server: PgServer
    backstay: Backstay
    moments: dict     # of each row, as by insert
    snapshots: list


@pytest.fixture(scope="module")
def stray(shared):
    """A copy archives beside its original, which goes on; both repositories see it."""
    server = shared.server("pg")
    text = CONFIG.format(home=shared.path, name="bs", first=shared.path / "bs.repo",
                         second=shared.path / "bs-other.repo", connection=server.conninfo(),
                         data=server.data)
    backstay = shared.backstay(server, name="bs", text=text)
    server.init(settings={"archive_command": backstay.archive_command()}, wal_segsize_mb=1)
    backstay.run("init")
    server.start()
    begin(server, backstay)
    copy = shared.restored("stray")
    backstay.restore(copy.data)
    start_archiving(copy)
    copy.script("CHECKPOINT")
    copy.archive_all()
    copy.stop()
    moments = {3: insert(server, 3)}
    server.archive_all()
    backstay.backup()
    moments[4] = insert(server, 4)
    server.archive_all()
    moments[5] = insert(server, 5)
    server.archive_all()
    yield Stray(server, backstay, moments, backstay.complete())
    server.stop()


def test_a_stray_copy_does_not_win(stray, shared):
    backstay = stray.backstay
    assert restored_rows(shared, backstay, "latest") == {1, 2, 3, 4, 5}
    report = plan(backstay)
    assert report["timeline"] == 1 and report["snapshot"] == stray.snapshots[-1]
    assert plan(backstay, "--at", "immediate")["snapshot"] == stray.snapshots[-1]
    assert plan(backstay, "--timeline", "current")["snapshot"] == stray.snapshots[-1]
    stray.server.stop()
    try:  # without the server the archive alone decides
        assert plan(backstay)["timeline"] == 1
    finally:
        stray.server.start()


def test_targets_on_the_original_are_found(stray, shared):
    backstay, moment = stray.backstay, stray.moments[3]
    for target in (moment["time"], f"xid:{moment['xid']}"):
        report = plan(backstay, "--at", target)
        assert report["timeline"] == 1 and report["line_note"] is None
    assert restored_rows(shared, backstay, "xid", "--at", f"xid:{stray.moments[4]['xid']}") == {
        1, 2, 3, 4}


@pytest.mark.quick
def test_a_copy_that_archives_is_a_problem_until_it_is_declared_dead(stray):
    backstay = stray.backstay
    report = backstay.status()
    problem, = report["problems"]
    assert "another server archives" in problem and "backstay line dead orders 2" in problem
    assert [(line["timeline"], line["state"], line["copy"]) for line in report["lines"]] == [
        (1, "current", False), (2, "empty", True)]
    backstay.run("line", "dead", "orders", "2")
    assert backstay.status()["ok"]
    # Nor is it another server's, when its WAL is what arrived last.
    segments = list(backstay.home.glob("bs*.repo/orders/wal/*/00000002/**/00000002*"))
    assert segments
    for segment in segments:
        os.utime(segment)
    assert backstay.status()["problems"] == []
    text = backstay.run("status", "orders").stdout
    assert re.search(r"line +dead by decision: timeline 2", text)
    for repository in ("bs.repo", "bs-other.repo"):
        assert len(list((backstay.home / repository / "orders/decisions").iterdir())) == 1
    decision, = backstay.json("line", "list", "orders")["decisions"]
    assert (decision["decision"], decision["timeline"]) == ("dead", 2)
    assert plan(backstay)["timeline"] == 1
    # It lasts only until it is taken back.
    backstay.run("line", "forget", "orders", "2")
    assert not backstay.status()["ok"]
    assert [each["decision"] for each in backstay.json("line", "list", "orders")["decisions"]] == [
        "dead", "forget"]
    backstay.fails(3, "there is no decision", "line", "forget", "orders", "2")
    backstay.fails(3, "no line of .* timeline 9", "line", "dead", "orders", "9")
    backstay.fails(2, "not the number", "line", "dead", "orders", "two")


def test_a_repository_that_lacks_a_decision_gets_it(stray):
    backstay = stray.backstay
    backstay.run("line", "dead", "orders", "2")
    shutil.rmtree(backstay.home / "bs-other.repo/orders/decisions")
    assert any("lack a decision" in problem for problem in backstay.status()["problems"])
    backstay.run("line", "dead", "orders", "2")
    assert backstay.status()["ok"]
    shutil.rmtree(backstay.home / "bs-other.repo/orders/decisions")
    backstay.run("copy", "orders", "--from", "local", "--to", "other")
    assert backstay.status()["ok"]
    backstay.run("line", "forget", "orders", "2")


def test_a_damaged_decision_is_told_of(stray):
    backstay = stray.backstay
    for repository in ("bs.repo", "bs-other.repo"):
        path = backstay.home / repository / "orders/decisions/00000000000000ff"
        path.write_bytes(b"nothing of ours")
        place.give_to_owner(path)
    try:
        assert any("decisions/00000000000000ff" in problem
                   for problem in backstay.status()["problems"])
        assert plan(backstay)["timeline"] == 1
        # Its number is taken, and the next one is free.
        backstay.run("line", "dead", "orders", "2")
        decisions = backstay.json("line", "list", "orders")["decisions"]
        assert (decisions[-1]["number"], decisions[-1]["decision"]) == (0x100, "dead")
        backstay.run("line", "forget", "orders", "2")
    finally:
        for repository in ("bs.repo", "bs-other.repo"):
            (backstay.home / repository / "orders/decisions/00000000000000ff").unlink()


def test_events_name_what_was_read(stray):
    backstay = stray.backstay
    text = backstay.run("events", "orders").stdout
    assert "timeline 1" in text and re.search(r"read +WAL 0{7}1[0-9A-F]{16} to", text)
    assert re.search(r"not read +timeline 2", text)
    stray.server.script("CREATE TABLE gone AS SELECT generate_series(1, 10) i", "DROP TABLE gone",
                        "DROP TABLE IF EXISTS gone")
    stray.server.archive_all()
    report = backstay.json("events", "orders")
    assert report["timeline"] == 1 and len(report["other_lines"]) == 1


def test_list_ends_with_the_newest_of_the_living_line(stray):
    assert [row["timeline"] for row in stray.backstay.snapshots()] == [1, 1]
    assert stray.backstay.complete() == stray.snapshots


@pytest.mark.parametrize("where", ["directory", pytest.param("bucket", marks=pytest.mark.once)])
def test_two_servers_that_both_archive(ws, request, where):
    if where == "bucket":
        bucket = request.getfixturevalue("gateway").bucket()
        primary, backstay = ws.bucket_pair(bucket, wal_segsize_mb=1)
    else:
        primary, backstay = ws.pair(wal_segsize_mb=1)
    begin(primary, backstay)
    standby = add_standby(ws, primary, "standby")
    wait_replayed(primary, standby)
    promote(standby)
    moments = {}
    for row in (10, 11, 12):
        moments[row] = insert(primary, row)
        moments[row + 10] = insert(standby, row + 10)
        primary.restore_point("point" if row == 11 else "twice")
        primary.archive_all()
        standby.archive_all()
    # The server that the configuration names is asked.
    assert plan(backstay)["timeline"] == 1
    report = backstay.status()
    assert any("two servers" in each or "another server" in each for each in report["problems"])
    primary.stop()
    message = refused(backstay, "ambiguous")
    for timeline in (1, 2):
        assert re.search(rf"timeline {timeline} .*backstay -c \S+ restore orders --to \S+"
                         rf"( --\S+)* --timeline {timeline}", message), message
    assert "last commit" in message and "snapshot" in message
    assert any("ambiguous" in each for each in backstay.status()["problems"])
    refused(backstay, "ambiguous", "--at", "immediate")
    backstay.fails(3, "ambiguous", "events", "orders")
    # The same number of a transaction, and times, are on both; a name on one alone.
    assert moments[10]["xid"] == moments[20]["xid"]
    refused(backstay, "is on 2 lines", "--at", f"xid:{moments[11]['xid']}")
    refused(backstay, "is on 2 lines", "--at", moments[11]["time"])
    assert plan(backstay, "--at", f"xid:{moments[11]['xid']}", "--timeline", "2")["timeline"] == 2
    found = plan(backstay, "--at", "name:point")
    assert found["timeline"] == 1 and "timeline 1" in found["line_note"]
    # That the other line has none of that name does not make it one.
    message = refused(backstay, "several restore points", "--at", "name:twice")
    choices = re.findall(r"restore orders --to \S+ --dry-run --at (lsn:\S+) --timeline (\d+) for the "
                         "one of", message)
    assert len(choices) == 2, message
    for at, timeline in choices:
        assert timeline == "1" and plan(backstay, "--at", at, "--timeline", timeline)["timeline"] == 1
    refused(backstay, r"is on 2 lines.*--timeline 1.*--timeline 2", "--at", choices[0][0])
    # What lies before the fork is the same on both.
    assert plan(backstay, "--at", backstay.complete()[0])["timeline"] == 1
    backstay.run("line", "current", "orders", "2")
    assert restored_rows(ws, backstay, "second") == {1, 2, 20, 21, 22}
    report = backstay.status()
    assert [line["state"] for line in report["lines"]] == ["ended", "current by decision"]
    assert "current by decision" in backstay.run("line", "list", "orders").stdout
    assert any("two servers" in each for each in report["problems"])
    backstay.run("line", "dead", "orders", "1")
    assert backstay.status()["ok"]
    if where == "bucket":
        assert len(bucket.keys("orders/decisions/")) == 2
    assert plan(backstay, "--at", f"xid:{moments[11]['xid']}")["timeline"] == 2
    refused(backstay, "cannot be reached", "--at", "name:point")
    backstay.run("line", "forget", "orders", "2")
    backstay.run("line", "forget", "orders", "1")
    refused(backstay, "ambiguous")


def test_a_gap_before_the_fork(ws):
    """Segments that only the primary and its standby had are in no place any more."""
    primary, backstay = ws.pair(wal_segsize_mb=1)
    begin(primary, backstay)
    standby = add_standby(ws, primary, "standby")
    primary.script("ALTER SYSTEM SET archive_command = '/bin/false'", "SELECT pg_reload_conf()")
    missing = []
    for row in (3, 4):
        insert(primary, row)
        missing.append(primary.value("SELECT pg_walfile_name(pg_current_wal_lsn())"))
        primary.rows("SELECT pg_switch_wal()")
    insert(primary, 5)
    wait_replayed(primary, standby)
    primary.stop("immediate")
    for name in missing:
        (standby.data / "pg_wal" / name).unlink()
    promote(standby)
    insert(standby, 6)
    standby.archive_all()
    report = backstay.status()
    assert any(missing[0] in each and missing[1] in each for each in report["problems"]), report
    check = backstay.attempt("repo", "check", "local")
    assert check.status == 1 and missing[0] in check.stdout
    message = refused(backstay, f"{missing[0]} to {missing[1]} are missing")
    command = re.search(r"restore orders --to \S+ .*--at (\S+) --timeline (\d+)", message)
    assert command, message
    assert restored_rows(ws, backstay, "before", "--at", command[1], "--timeline",
                         command[2]) == {1, 2}
    # A snapshot behind it mends what can be mended: the gap stays told of, and is no problem.
    backstay.edit_config(primary.conninfo(), standby.conninfo())
    backstay.edit_config(f"data: {primary.data}\n", f"data: {standby.data}\n")
    backstay.backup()
    report = backstay.status()
    assert report["ok"], report
    assert any(missing[0] in note and "nothing from" in note for note in report["notes"])
    assert re.search(r"info +WAL segments", backstay.run("status", "orders").stdout)
    assert restored_rows(ws, backstay, "after") == {1, 2, 3, 4, 5, 6}


def test_recovery_in_place(ws):
    """What was undone stays a line of its own that ended."""
    server, backstay = ws.pair(wal_segsize_mb=1)
    begin(server, backstay)
    moments = {row: insert(server, row) for row in (3, 4)}
    insert(server, 5)
    server.archive_all()
    server.stop()
    backstay.run("restore", "orders", "--to", server.data, "--delta", "--at", moments[3]["time"])
    start_archiving(server)
    insert(server, 6)
    server.archive_all()
    assert backstay.status()["ok"], backstay.status()
    assert plan(backstay)["timeline"] == 2
    server.stop()
    assert plan(backstay)["timeline"] == 2
    assert restored_rows(ws, backstay, "latest") == {1, 2, 3, 6}
    # Only the old line has that transaction; it is taken, and said.
    report = plan(backstay, "--at", f"xid:{moments[4]['xid']}", "--timeline", "1")
    assert report["timeline"] == 1
    refused(backstay, "is on 2 lines", "--at", moments[4]["time"])
    backstay.run("line", "dead", "orders", "1")
    assert backstay.status()["ok"]
    assert plan(backstay, "--at", moments[4]["time"])["timeline"] == 2


def test_a_missing_history(ws):
    server, backstay = ws.pair(wal_segsize_mb=1)
    begin(server, backstay)
    server.stop()
    backstay.run("restore", "orders", "--to", server.data, "--replace")
    start_archiving(server)
    insert(server, 3)
    server.archive_all()
    assert backstay.status()["ok"]
    lost, = [path for path in backstay.objects("orders/wal") if path.name == "00000002.history"]
    lost.unlink()
    assert any("00000002.history is missing" in each for each in backstay.status()["problems"])
    check = backstay.attempt("repo", "check", "local")
    assert check.status == 1 and "00000002.history" in check.stdout
    refused(backstay, "timeline 2")


def test_a_damaged_head_of_wal_does_not_hide_the_rest(ws):
    server, backstay = ws.pair(wal_segsize_mb=1)
    begin(server, backstay)
    last = [path for path in backstay.objects("orders/wal") if len(path.name) == 24][-1]
    content = bytearray(last.read_bytes())
    content[100] ^= 1
    last.chmod(0o600)
    last.write_bytes(content)
    report = backstay.status()
    assert len(report["windows"]) == 1 and report["last_snapshot"] is not None
    assert any(last.name in each for each in report["problems"])


@pytest.mark.once
def test_a_clock_that_was_ahead_orders_nothing(ws):
    """One snapshot of next year is neither the parent nor the newest for a year."""
    server, backstay = ws.pair(wal_segsize_mb=1)
    begin(server, backstay)
    told = place.run_as_owner(["env", f"LD_PRELOAD={faketime.THREADS_LIBRARY}", "FAKETIME=+365d",
                               "FAKETIME_DONT_FAKE_MONOTONIC=1",
                               *backstay.argv(["backup", "orders", "--json"])], ws.path)
    ahead = json.loads(told.stdout)["snapshot"]
    insert(server, 3)
    third = backstay.backup()
    insert(server, 4)
    fourth = backstay.backup()
    assert third["parent"] == ahead and fourth["parent"] == third["snapshot"]
    assert backstay.complete()[1:] == [ahead, third["snapshot"], fourth["snapshot"]]
    assert plan(backstay, "--timeline", "current")["snapshot"] == fourth["snapshot"]
    assert plan(backstay, "--at", "immediate")["snapshot"] == fourth["snapshot"]
    assert backstay.status()["last_snapshot"]["snapshot"] == fourth["snapshot"]
