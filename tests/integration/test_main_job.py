"""A live PostgreSQL is snapshotted, lost, and back at the moment that was named."""
import dataclasses
import datetime

import pytest

from backstay import Backstay, verify_backup
from pgserver import Marker, PgServer, lsn_to_int, wait_for


pytestmark = pytest.mark.quick


@dataclasses.dataclass
class Story:
    """What happened to one cluster: every marker in order, and pgbench's rows around each."""
    server: PgServer
    backstay: Backstay
    markers: dict
    rows: dict
    snapshots: list
    end: tuple

    def until(self, note):
        notes = list(self.markers)
        return notes[:notes.index(note) + 1]


@pytest.fixture(scope="module")
def story(shared):
    server, backstay = shared.pair(wal_segsize_mb=16)
    markers, rows, snapshots = {}, {}, []

    def mark(note) -> Marker:
        before = server.value("SELECT count(*) FROM pgbench_history")
        markers[note] = server.mark(note)
        rows[note] = (before, server.value("SELECT count(*) FROM pgbench_history"))
        return markers[note]

    server.make_markers()
    server.bench_init(scale=2)
    server.bench_start()
    mark("before")
    snapshots.append(backstay.backup())
    for note in ("a", "b", "c"):
        mark(note)
    server.restore_point("before-the-mistake")
    mark("d")
    snapshots.append(backstay.backup("--label", "second"))
    mark("e")
    server.bench_stop()
    # Quiet from here: nothing may come between a marker's last record and its commit.
    for note in ("f", "g", "h"):
        mark(note)
    server.archive_all()
    end = server.bench_totals()
    server.stop()
    return Story(server, backstay, markers, rows, snapshots, end)


def recover(shared, story, name, *args, env=None):
    """Restores, proves the directory to pg_verifybackup, starts it and proves its trees."""
    restored = shared.restored(name)
    report = story.backstay.restore(restored.data, *args, env=env)
    verify_backup(shared.path, restored.data)
    restored.start_restored()
    restored.amcheck()
    history, delta, accounts, tellers, branches = restored.bench_totals()
    assert delta == accounts == tellers == branches, "not a state between transactions"
    return restored, report, history


def test_latest_is_all_that_was_archived(shared, story):
    """Backup under pgbench load, then restore to latest: the data are exactly those."""
    restored, report, _ = recover(shared, story, "latest")
    assert restored.markers() == list(story.markers)
    assert restored.bench_totals() == story.end
    assert report["target"]["kind"] == "latest"
    assert report["snapshot"] == story.snapshots[1]["snapshot"]
    restored.stop()


def in_new_york(story):
    moment = datetime.datetime.fromisoformat(story.markers["b"].time + ":00")
    zone = datetime.timezone(datetime.timedelta(hours=-5))
    return moment.astimezone(zone)


# name, target, further options, the last marker that is there, environment
TARGETS = {
    "time": (lambda s: s.markers["b"].time, [], "b", None),
    "time-local": (lambda s: in_new_york(s).strftime("%Y-%m-%d %H:%M:%S.%f"), [], "b",
                   {"TZ": "EST5"}),
    "time-zone": (lambda s: in_new_york(s).isoformat(), [], "b", None),
    "time-exact": (lambda s: s.markers["g"].commit_time, [], "g", None),
    "time-exclusive": (lambda s: s.markers["g"].commit_time, ["--exclusive"], "f", None),
    "xid": (lambda s: f"xid:{s.markers['c'].xid}", [], "c", None),
    "xid-exclusive": (lambda s: f"xid:{s.markers['c'].xid}", ["--exclusive"], "b", None),
    "lsn": (lambda s: f"lsn:{s.markers['a'].lsn}", [], "a", None),
    "lsn-exact": (lambda s: f"lsn:{s.markers['g'].before_commit}", [], "g", None),
    "lsn-exclusive": (lambda s: f"lsn:{s.markers['g'].before_commit}", ["--exclusive"], "f", None),
    "name": (lambda s: "name:before-the-mistake", [], "c", None),
    "snapshot": (lambda s: s.snapshots[0]["snapshot"], [], "before", None),
    "immediate": (lambda s: "immediate", [], "d", None),
    "immediate-first": (lambda s: "immediate", ["--snapshot", 0], "before", None),
}


@pytest.mark.parametrize("name", TARGETS)
def test_the_data_are_exactly_those_of_the_moment(shared, story, name):
    """To a time between two committed markers, an xid, an LSN and a named restore point."""
    target, options, last, env = TARGETS[name]
    options = [story.snapshots[each]["snapshot"] if each == 0 else each for each in options]
    restored, report, history = recover(shared, story, name, "--at", target(story), *options,
                                        env=env)
    assert restored.markers() == story.until(last)
    if name.startswith("time"):
        commit = report["last_commit"]
        assert restored.value("SELECT pg_xact_status(%s::text::xid8)", commit["xid"]) == "committed"
        if name in ("time-exact", "time-exclusive"):  # nothing ran beside these
            assert commit["xid"] == int(story.markers[last].xid)
    else:
        assert report["last_commit"] is None
    notes = list(story.markers)
    after = notes[notes.index(last) + 1]
    assert story.rows[last][0] <= history <= story.rows[after][1]
    restored.stop()


def test_time_takes_every_form_and_the_plan_prints_utc(shared, story):
    """--at TIME in each documented form; one without zone is of the local zone."""
    moment = datetime.datetime.fromisoformat(story.markers["b"].time + ":00")
    local = in_new_york(story)
    plain = local.strftime("%Y-%m-%d %H:%M:%S.%f")
    tokyo = moment.astimezone(datetime.timezone(datetime.timedelta(hours=9)))
    forms = [
        (story.markers["b"].time, None), (moment.isoformat().replace("+00:00", "Z"), None),
        (plain + " -05", None), (plain + "-0500", None), (plain + "-05:00", None),
        (plain + " America/New_York", None), (plain, {"TZ": "America/New_York"}),
        (tokyo.strftime("%Y%m%dT%H%M%S.%f+09"), None),
    ]
    for text, env in forms:
        plan = story.backstay.json("restore", "orders", "--to", shared.path / "never", "--at", text,
                                   "--dry-run", env=env)
        utc = plan["target"]["utc"]
        assert utc.endswith("Z"), text
        assert datetime.datetime.fromisoformat(utc[:-1] + "+00:00") == moment, text
        shown = story.backstay.run("restore", "orders", "--to", shared.path / "never", "--at", text,
                                   "--dry-run", env=env).stdout
        assert moment.strftime("%H:%M:%S") in shown, text
    assert not (shared.path / "never").exists()


def test_list_tells_every_snapshot(story):
    rows = story.backstay.snapshots()
    assert [row["snapshot"] for row in rows] == [s["snapshot"] for s in story.snapshots]
    for row, made in zip(rows, story.snapshots):
        assert row["state"] == "complete"
        assert row["repositories"] == ["local"]
        for key in ("timeline", "start_lsn", "stop_lsn", "bytes", "pg_version", "system_id"):
            assert row[key] == made[key]
        assert row["started"] <= row["finished"] and row["finished"].endswith("Z")
    assert rows[1]["label"] == "second"
    assert rows[0]["snapshot"] in story.backstay.run("list", "orders").stdout


def test_backup_reports_what_it_did(story):
    report = story.snapshots[0]
    assert report["source"] == "orders" and report["state"] == "complete"
    assert report["damaged_pages"] == []
    assert report["repositories"] == [{"name": "local", "required": True, "state": "complete",
                                       "why": None}]
    assert lsn_to_int(report["start_lsn"]) < lsn_to_int(report["stop_lsn"])
    assert 0 < report["stored_bytes"] < report["bytes"] and report["files"] > 900
    assert {"total", "start", "copy", "stop", "wal_wait"} <= set(report["seconds"])


def test_status_tells_the_window(story):
    """Recovery windows are computed from what is really in the archive, shown by status."""
    report = story.backstay.status()
    assert report["ok"], report["problems"]
    assert report["last_snapshot"]["snapshot"] == story.snapshots[1]["snapshot"]
    assert report["lease"] is None
    window = report["windows"][0]
    assert len(report["windows"]) == 1 and window["snapshots"] == 2 and window["timeline"] == 1
    assert window["snapshot"] == story.snapshots[0]["snapshot"]
    assert lsn_to_int(window["from"]["lsn"]) == lsn_to_int(story.snapshots[0]["stop_lsn"])
    assert lsn_to_int(window["to"]["lsn"]) >= lsn_to_int(story.markers["h"].lsn)
    last_commit = datetime.datetime.fromisoformat(story.markers["h"].commit_time + ":00")
    assert window["to"]["time"][:19] == last_commit.strftime("%Y-%m-%dT%H:%M:%S")
    wal = report["wal"]["timelines"][0]
    assert wal["timeline"] == 1 and wal["missing"] == [] and wal["segments"] > 2
    assert story.backstay.run("status").stdout.count("orders") >= 1


def test_start_waits_for_the_moment_and_says_it(ws):
    """--start starts the server, waits until the target is reached and it takes writes, prints the
    moment reached; a --standalone snapshot needs no archive."""
    server, backstay = ws.pair()
    server.make_markers()
    marker = server.mark("a")
    snapshot = backstay.backup("--standalone")
    server.mark("b")
    server.archive_all()
    server.stop()
    assert backstay.snapshots()[0]["standalone"] is True
    restored = ws.restored("back")
    restored.sockets = server.sockets
    report = backstay.restore(restored.data, "--at", snapshot["snapshot"], "--start", "--pg-port",
                              restored.port)
    assert report["started"] is True
    assert lsn_to_int(report["reached"]["lsn"]) >= lsn_to_int(marker.lsn)
    restored.mark("writes at once")
    assert restored.markers() == ["a", "writes at once"]


def test_either_timeline_can_be_followed(ws):
    """After promotion the new timeline's WAL is archived by the same command, and a later restore
    may follow either timeline."""
    server, backstay = ws.pair()
    server.make_markers()
    backstay.backup()
    fork = server.mark("fork")
    server.mark("old 1")
    server.archive_all()
    server.stop()

    second = ws.restored("second")
    second.sockets = server.sockets
    report = backstay.restore(second.data, "--at", fork.time, "--start", "--pg-port", second.port)
    assert report["reached"]["timeline"] == 2
    second.mark("new 1")
    second.archive_all()
    server.start()
    server.mark("old 2")
    server.archive_all()
    server.stop()
    status = backstay.status()
    assert {window["timeline"] for window in status["windows"]} >= {1, 2}
    assert backstay.run("wal", "fetch", "orders", "00000002.history", second.sockets / "history")

    # Both went on by turns: nobody but the operator knows which one is meant.
    backstay.fails(3, "ambiguous", "restore", "orders", "--to", ws.path / "tl-latest")
    backstay.run("line", "current", "orders", "2")
    expected = {"latest": ["fork", "new 1"], "2": ["fork", "new 1"],
                "current": ["fork", "old 1", "old 2"], "1": ["fork", "old 1", "old 2"]}
    for timeline, notes in expected.items():
        restored = ws.restored(f"tl-{timeline}")
        backstay.restore(restored.data, "--timeline", timeline)
        restored.start_restored()
        assert restored.markers() == notes, timeline
        restored.stop()

    # Life goes on upon the new timeline: the next snapshot is made there. It holds the settings of
    # the restore that began it, and they must not be taken for the target of the next one.
    backstay.edit_config(f"port={server.port}", f"port={second.port}")
    backstay.edit_config(f"data: {server.data}", f"data: {second.data}")
    second.mark("new 2")
    assert backstay.backup()["timeline"] == 2
    second.mark("new 3")
    second.archive_all()
    last = ws.restored("last")
    backstay.restore(last.data)
    last.start_restored()
    assert last.markers() == ["fork", "new 1", "new 2", "new 3"]


@pytest.mark.parametrize("action", ["pause", "shutdown"])
def test_action_other_than_promote(shared, story, action):
    """--action says what recovery does when the target is reached."""
    restored = shared.restored(f"action-{action}")
    story.backstay.restore(restored.data, "--at", story.markers["b"].time, "--action", action)
    if action == "shutdown":
        restored.start({"archive_mode": "off"}, wait=False)
        restored.wait_ended()
        return
    restored.start({"archive_mode": "off"})
    wait_for("recovery to pause",
             lambda: restored.value("SELECT pg_is_wal_replay_paused()"))
    assert restored.markers() == story.until("b")
    restored.stop()
