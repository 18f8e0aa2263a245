"""Targets of recovery: what a restore to one gives is exactly the state that it names, or the
restore is refused with the command that works."""
import os
import re
import shutil
import time

import pytest

import faketime
import place

OLD = 1_000_000_000  # an object of that age is not on its way


@pytest.fixture(scope="module")
def raw(shared):
    """Real WAL segments, as an archiver hands them out."""
    directory = shared.directory("raw")
    server = shared.server("maker")
    server.init(wal_segsize_mb=1, settings={"archive_command": f"cp %p {directory}/%f"}).start()
    server.script("CREATE TABLE t (id int)")
    for number in range(5):
        server.script(f"INSERT INTO t VALUES ({number})")
        server.archive_all()
    server.stop()
    return sorted(path for path in directory.iterdir() if len(path.name) == 24)


@pytest.fixture
def archive(shared, request):
    """A new repository."""
    backstay = shared.backstay(name=f"a{abs(hash(request.node.name)) % 100000}")
    backstay.run("init")
    yield backstay
    shutil.rmtree(backstay.repository, ignore_errors=True)


def wal_object(backstay, name):
    [found] = [path for path in backstay.objects("orders/wal") if path.name == name]
    return found


def grow_old(backstay):
    for path in backstay.objects("orders/wal"):
        os.utime(path, (OLD, OLD))


def history(directory, timeline, text):
    path = directory / f"{timeline:08X}.history"
    path.write_text(text, encoding="utf-8")
    return place.give_to_owner(path)


# --- wal fetch: a hole is not the end of the archive ---------------------------------------------

def test_a_hole_is_no_absence(archive, raw, shared):
    """Exit 1, naming the hole, where later WAL is there; 3 behind the last segment."""
    target = shared.directory(f"{archive.name}-wal") / "RECOVERYXLOG"
    for path in (raw[0], raw[1], raw[3]):
        archive.run("wal", "push", "orders", path)
    grow_old(archive)
    archive.fails(1, f'"{raw[2].name}".*is missing.*"{raw[3].name}" exists', "wal", "fetch",
                  "orders", raw[2].name, target)
    archive.fails(3, raw[4].name, "wal", "fetch", "orders", raw[4].name, target)
    # The server has the next segment asked for before it has replayed its target.
    archive.fails(3, raw[2].name, "wal", "fetch", "orders", raw[2].name, target,
                  "--until", raw[1].name)
    archive.fails(1, raw[2].name, "wal", "fetch", "orders", raw[2].name, target,
                  "--until", raw[2].name)
    archive.fails(2, "--until", "wal", "fetch", "orders", raw[2].name, target, "--until", "x")
    assert not target.exists()


def test_a_hole_that_does_no_harm_is_an_absence(archive, raw, shared):
    """A standby takes the segment from its primary, a server from its own pg_wal."""
    data = shared.directory(f"{archive.name}-data")
    wal = place.make_directory(data / "pg_wal")
    for path in (raw[0], raw[2]):
        archive.run("wal", "push", "orders", path)
    grow_old(archive)
    fetch = ("wal", "fetch", "orders", raw[1].name, wal / "RECOVERYXLOG")
    archive.fails(1, raw[1].name, *fetch)
    for harmless in (wal / raw[1].name, data / "standby.signal"):
        harmless.write_bytes(b"")
        archive.fails(3, raw[1].name, *fetch)
        harmless.unlink()


def test_a_segment_that_is_on_its_way_is_waited_for(archive, raw, shared):
    """`wal push` archives several segments at once; the later may be there first."""
    target = shared.directory(f"{archive.name}-wal") / "RECOVERYXLOG"
    archive.run("wal", "push", "orders", raw[0])
    archive.run("wal", "push", "orders", raw[2])
    waiting = archive.start("wal", "fetch", "orders", raw[1].name, target)
    archive.run("wal", "push", "orders", raw[1])
    result = archive.finish(waiting)
    assert result.status == 0, result
    assert target.read_bytes() == raw[1].read_bytes()


def test_a_younger_timeline_proves_that_its_parent_went_on(archive, raw, shared):
    """Segments before a fork are needed by every recovery along the new timeline."""
    directory = shared.directory(f"{archive.name}-wal")
    target = directory / "RECOVERYXLOG"
    fork = f"0/{int(raw[3].name[16:], 16):X}00028"
    archive.run("wal", "push", "orders", raw[0])
    place.give_to_owner(shutil.copy(raw[0], directory))  # tells of which cluster the history is
    archive.run("wal", "push", "orders", history(directory, 2, f"1\t{fork}\tno recovery target\n"))
    grow_old(archive)
    archive.fails(1, '"00000002.history" exists', "wal", "fetch", "orders", raw[1].name, target)
    archive.fails(1, '"00000002.history" exists', "wal", "fetch", "orders", raw[2].name, target)
    # The parent's last segment may never have been whole; and what servers probe for is absent.
    for name in (raw[3].name, "00000002" + raw[3].name[8:], "00000003.history",
                 "00000003" + raw[3].name[8:], "00000002" + raw[1].name[8:]):
        archive.fails(3, name, "wal", "fetch", "orders", name, target)


@pytest.fixture(scope="module")
def line(shared):
    """Segments with a row each."""
    server, backstay = shared.pair(name="line", wal_segsize_mb=1)
    server.make_markers()
    backstay.backup()
    markers = []
    for number in range(5):
        markers.append(server.mark(f"row {number}"))
        server.archive_all()
    server.stop()
    return backstay, markers


def segment_of(lsn):
    high, low = (int(part, 16) for part in lsn.split("/"))
    return f"00000001{high:08X}{low >> 20:08X}"


def test_recovery_does_not_promote_at_a_hole(line, shared):
    """WAL that goes missing after the plan was made: the server stops, and its log names it."""
    backstay, markers = line
    restored = shared.restored("hole")
    backstay.restore(restored.data, "--at", "latest")
    lost = wal_object(backstay, segment_of(markers[2].lsn))
    away = shared.path / lost.name
    shutil.move(lost, away)
    grow_old(backstay)
    try:
        restored.start({"archive_mode": "off"}, wait=False)
        restored.wait_ended()
        log = restored.log.read_text()
        assert "archive recovery complete" not in log
        assert f'WAL segment "{lost.name}" of "orders" is missing' in log
    finally:
        shutil.move(away, lost)
    restored.start_restored()
    assert restored.markers() == [marker.note for marker in markers]
    restored.stop()


@pytest.mark.parametrize("by", ["lsn", "xid", "time"])
def test_a_target_before_a_hole_is_reached(line, shared, by):
    """The server reads ahead; it is not stopped by a hole that it does not need to cross."""
    backstay, markers = line
    restored = shared.restored(f"before-{by}")
    target = {"lsn": f"lsn:{markers[1].before_commit}", "xid": f"xid:{markers[1].xid}",
              "time": markers[1].commit_time}[by]
    backstay.restore(restored.data, "--at", target)
    lost = wal_object(backstay, segment_of(markers[3].lsn if by == "time" else markers[2].lsn))
    away = shared.path / f"{lost.name}-{by}"
    shutil.move(lost, away)
    grow_old(backstay)
    try:
        restored.start_restored()
        assert restored.markers() == [marker.note for marker in markers[:2]]
    finally:
        shutil.move(away, lost)
    restored.stop()


# --- a database that is dropped ------------------------------------------------------------------

ROWS = 500


class Drops:
    """One cluster that drops databases and tablespaces, with a row before and after each."""

    def __init__(self, shared):
        self.server, self.backstay = shared.pair(name="drops", wal_segsize_mb=1)
        self.shared = shared
        self.xids = {}
        self.before = {}
        self.after = {}
        self.server.make_markers()
        for name in ("quiet", "moved"):
            self.server.script(f"CREATE DATABASE {name}")
            self.server.script("CREATE TABLE t (i int)",
                               f"INSERT INTO t SELECT generate_series(1, {ROWS})", dbname=name)
        self.space = shared.directory("space")
        self.server.script(f"CREATE TABLESPACE empty LOCATION '{self.space}'")
        other = shared.directory("other-space")
        self.server.script(f"CREATE TABLESPACE other LOCATION '{other}'")
        self.backstay.backup()
        self.do("quiet", "DROP DATABASE quiet")
        self.do("moved", "ALTER DATABASE moved SET TABLESPACE other")
        self.do("space", "DROP TABLESPACE empty")
        self.server.archive_all()
        self.events = self.backstay.json("events", "orders")["events"]

    def do(self, name, statement):
        self.before[name] = self.server.mark(f"before {name}")
        self.server.script(statement)
        self.after[name] = self.server.mark(f"after {name}")
        self.xids[name] = self.after[name].xid - 1

    def try_target(self, name, *args):
        """Restores, and returns the server."""
        restored = self.shared.restored(name)
        spaces = [word for space in ("empty", "other") for word in
                  ("--tablespace", f"{space}={self.shared.directory(f'{name}-{space}')}")]
        report = self.backstay.restore(restored.data, *args, *spaces)
        restored.start_restored()
        return report, restored


@pytest.fixture(scope="module")
def drops(shared):
    made = Drops(shared)
    yield made
    made.server.stop()


def first_record_of(event):
    """Where recovery stops to have the state before the event."""
    return next(word[4:] for word in event["restore"] if word.startswith("lsn:"))


def targets_before_the_drop(drops):
    event = next(one for one in drops.events
                 if one["changes"][0]["what"] == "dropped database")
    before = drops.before["quiet"]
    return {
        "time": ("--at", before.time),
        "time-exclusive": ("--at", drops.after["quiet"].commit_time, "--exclusive"),
        "xid": ("--at", f"xid:{event['xid']}", "--exclusive"),
        "commit": ("--at", f"lsn:{event['lsn']}", "--exclusive"),
        "first-record": ("--at", f"lsn:{first_record_of(event)}"),
        "event": ("--at", f"lsn:{first_record_of(event)}", "--exclusive"),
        "position": ("--at", f"lsn:{before.lsn}"),
    }


@pytest.mark.parametrize("kind", ["time", "xid", "commit", "first-record", "event", "position"])
def test_just_before_a_database_was_dropped_it_is_whole(drops, kind):
    """PostgreSQL removes the files before the transaction commits: recovery stops before that."""
    report, restored = drops.try_target(f"quiet-{kind}", *targets_before_the_drop(drops)[kind])
    assert restored.value("SELECT count(*) FROM t", dbname="quiet") == ROWS
    assert restored.markers() == ["before quiet"]
    assert (report["caution"] is None) == (kind == "event"), report
    assert kind == "event" or report["stop"]["kind"] == "lsn"
    restored.stop()


def test_after_a_database_was_dropped_it_is_gone(drops):
    report, restored = drops.try_target("quiet-after", "--at", f"xid:{drops.xids['quiet']}")
    assert "quiet" not in restored.databases() and report["caution"] is None
    assert restored.value("SELECT count(*) FROM pg_database WHERE datname = 'quiet'") == 0
    restored.stop()


def test_just_before_a_tablespace_was_dropped_it_is_usable(drops):
    report, restored = drops.try_target("space", "--at", f"xid:{drops.xids['space']}",
                                        "--exclusive")
    assert "tablespace" in report["caution"]
    restored.script("CREATE TABLE in_it (i int) TABLESPACE empty")
    restored.stop()


@pytest.mark.parametrize("exclusive", [True, False])
def test_around_the_move_of_a_database_it_is_whole(drops, exclusive):
    """ALTER DATABASE SET TABLESPACE removes the files behind its commit: no trap."""
    report, restored = drops.try_target(f"moved-{exclusive}", "--at", f"xid:{drops.xids['moved']}",
                                        *(["--exclusive"] if exclusive else []))
    assert restored.value("SELECT count(*) FROM t", dbname="moved") == ROWS
    assert report["caution"] is None
    restored.stop()


# --- restore points of one name ------------------------------------------------------------------

def test_two_restore_points_of_one_name_are_told_apart(shared):
    """The server would stop at the first one behind the snapshot."""
    server, backstay = shared.pair(name="points", wal_segsize_mb=1)
    server.make_markers()
    server.restore_point("again")
    backstay.backup()
    for note in ("one", "two"):
        server.mark(note)
        server.restore_point("twice")
    server.mark("three")
    server.archive_all()
    never = shared.path / "never"
    result = backstay.fails(3, "several restore points", "restore", "orders", "--to", never, "--at",
                            "name:twice")
    ends = []
    for number, target in enumerate(re.findall(r"--at (lsn:\S+) for", result.stderr)):
        restored = shared.restored(f"point{number}")
        backstay.restore(restored.data, "--at", target)
        restored.start_restored()
        ends.append(restored.markers())
        restored.stop()
    assert ends == [["one"], ["one", "two"]]
    # Apart by a snapshot: the newer one, and that is said.
    server.restore_point("again")
    backstay.backup()
    server.mark("four")
    server.restore_point("again")
    server.mark("five")
    server.archive_all()
    server.stop()
    restored = shared.restored("newest-point")
    report = backstay.restore(restored.data, "--at", "name:again")
    assert "the newest restore point of that name" in report["caution"]
    restored.start_restored()
    assert restored.markers() == ["one", "two", "three", "four"]
    restored.stop()


# --- a server's clock that ran backwards -----------------------------------------------------------


class Clock:
    """A server whose clock can be set."""

    def __init__(self, shared, name, bucket=None):
        self.server, self.backstay = (
            shared.pair(name=name, wal_segsize_mb=1) if bucket is None else
            shared.bucket_pair(bucket, name=name, wal_segsize_mb=1))
        self.file = shared.path / f"{name}.clock"
        self.server.stop()
        self.server.configure({"archive_command":
                               f"env -u LD_PRELOAD {self.backstay.archive_command()}"})
        self.set("+0")
        # Set behind the change of users: what is preloaded must not be loaded by root.
        settings = [f"LD_PRELOAD={faketime.THREADS_LIBRARY}", f"FAKETIME_TIMESTAMP_FILE={self.file}",
                    "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
        place.run_as_owner(
            ["/usr/bin/env", *settings, place.PG_BIN / "pg_ctl", "-D", self.server.data, "-l",
             self.server.log, "-w", "-o",
             f"-c port={self.server.port} -c unix_socket_directories={self.server.sockets}",
             "start"], self.server.home)
        self.server.make_markers()

    def set(self, offset):
        self.file.write_text(offset, encoding="utf-8")
        place.give_to_owner(self.file)


@pytest.fixture(scope="module")
def behind(shared):
    """One snapshot was taken while the clock was a day behind, and rows then and around it."""
    clock = Clock(shared, "behind")
    rows = {}
    clock.backstay.backup()
    for note in ("1", "2", "3"):
        rows[note] = clock.server.mark(note)
        time.sleep(0.1)
    clock.set("-1d")
    rows["4"] = clock.server.mark("4")
    clock.server.archive_all()
    clock.backstay.backup()
    rows["5"] = clock.server.mark("5")
    clock.set("+0")
    for note in ("6", "7"):
        rows[note] = clock.server.mark(note)
    clock.server.archive_all()
    clock.server.stop()
    return clock.backstay, rows


@pytest.mark.once
@pytest.mark.parametrize("note, wanted", [("1", ["1"]), ("2", ["1", "2"]),
                                          ("6", ["1", "2", "3", "4", "5", "6"])])
def test_a_time_is_right_though_the_clock_ran_backwards(behind, shared, note, wanted):
    """Never a state behind the target: the base is a snapshot before the clock went back."""
    backstay, rows = behind
    restored = shared.restored(f"behind-{note}")
    report = backstay.restore(restored.data, "--at", rows[note].commit_time)
    assert (report["caution"] is not None) == (note != "6"), report
    restored.start_restored()
    assert restored.markers() == wanted
    restored.stop()


@pytest.mark.once
def test_a_time_that_only_the_wrong_clock_showed_is_refused_with_the_target(behind, shared):
    """Before the first snapshot by every clock that was right; the command leads to the row."""
    backstay, rows = behind
    never = shared.path / "never"
    result = backstay.attempt("-q", "restore", "orders", "--to", never, "--at",
                              rows["5"].commit_time)
    assert result.status == 3, result
    target = re.search(r"use --at (lsn:\S+) --exclusive for the state when it passed it again",
                       result.stderr).group(1)
    restored = shared.restored("behind-5")
    backstay.restore(restored.data, "--at", target, "--exclusive")
    restored.start_restored()
    assert restored.markers() == ["1", "2", "3", "4", "5"]
    restored.stop()


@pytest.mark.once
def test_a_time_that_the_clock_showed_twice_is_refused_with_both(shared):
    """A clock that was ahead, and no snapshot meanwhile: the server would stop far too early."""
    clock = Clock(shared, "ahead")
    server, backstay = clock.server, clock.backstay
    backstay.backup()
    server.mark("a")
    clock.set("+365d")
    server.mark("ahead")
    clock.set("+0")
    late = server.mark("b")
    server.mark("c")
    server.archive_all()
    server.stop()
    result = backstay.attempt("-q", "restore", "orders", "--to", shared.path / "never", "--at",
                              late.commit_time)
    assert result.status == 3 and "ambiguous" in result.stderr, result
    states = []
    for number, target in enumerate(re.findall(r"--at (lsn:\S+) --exclusive", result.stderr)):
        restored = shared.restored(f"ahead{number}")
        backstay.restore(restored.data, "--at", target, "--exclusive")
        restored.start_restored()
        states.append(restored.markers())
        restored.stop()
    assert states == [["a"], ["a", "ahead", "b"]]


# --- times ---------------------------------------------------------------------------------------

TIMES = [
    ("Europe/Berlin", "2026-10-25 02:30",
     r'twice: write "2026-10-25 02:30:00\+02:00" or "2026-10-25 02:30:00\+01:00"'),
    ("Europe/Berlin", "2026-03-29 02:30",
     r'never showed this time: write "2026-03-29 01:30:00\+01:00" or "2026-03-29 03:30:00\+02:00"'),
    ("Europe/Nowhere", "2026-11-21 10:15", "TZ=Europe/Nowhere.*add an offset"),
    ("UTC", "11/12/2026 10:15", "it is not a time.*2026-11-21T09:15:00Z"),
    ("UTC", "2026-11-21 10:15 CET", "\"CET\" is not a known time zone"),
]


@pytest.mark.once
@pytest.mark.parametrize("zone, text, reason", TIMES)
def test_a_time_that_is_ambiguous_is_refused(line, shared, zone, text, reason):
    """With what to type instead, wherever a time is given."""
    backstay = line[0]
    env = {"TZ": zone}
    backstay.fails(2, reason, "restore", "orders", "--to", shared.path / "never", "--at", text,
                   env=env)
    backstay.fails(2, reason, "events", "orders", "--from", text, env=env)
    backstay.fails(2, reason, "events", "orders", "--to", text, env=env)
    backstay.fails(2, reason, "copy", "orders", "--from", "local", "--to", "other", "--since",
                   text, env=env)
