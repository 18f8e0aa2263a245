"""Targets of recovery: what a restore to one gives is exactly the state that it names, or the
restore is refused with the command that works."""
import os
import shutil

import pytest

import place
from pgserver import wait_for

OLD = 1_000_000_000  # an object of that age is not on its way


@pytest.fixture(scope="module")
def raw(shared):
    """Real WAL segments, as an archiver hands them out."""
    folder = shared.directory("raw")
    server = shared.server("maker")
    server.init(wal_segsize_mb=1, settings={"archive_command": f"cp %p {folder}/%f"}).start()
    server.script("CREATE TABLE t (id int)")
    for number in range(5):
        server.script(f"INSERT INTO t VALUES ({number})")
        server.archive_all()
    server.stop()
    return sorted(path for path in folder.iterdir() if len(path.name) == 24)


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


def history(folder, timeline, text):
    path = folder / f"{timeline:08X}.history"
    path.write_text(text, encoding="utf-8")
    return place.give_to_owner(path)


# --- wal fetch: a hole is not the end of the archive ---------------------------------------------

def test_a_hole_is_no_absence(archive, raw, shared):
    """Exit 1, naming the hole, where later WAL is there; 3 behind the last segment."""
    target = shared.directory(f"{archive.name}-wal") / "RECOVERYXLOG"
    for path in (raw[0], raw[1], raw[3]):
        archive.run("wal", "push", "orders", path)
    grow_old(archive)
    archive.fails(1, f'"{raw[2].name}".*is missing.*"{raw[3].name}" is there', "wal", "fetch",
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
    folder = shared.directory(f"{archive.name}-wal")
    target = folder / "RECOVERYXLOG"
    fork = f"0/{int(raw[3].name[16:], 16):X}00028"
    archive.run("wal", "push", "orders", raw[0])
    archive.run("wal", "push", "orders", history(folder, 2, f"1\t{fork}\tno recovery target\n"))
    grow_old(archive)
    archive.fails(1, '"00000002.history" is there', "wal", "fetch", "orders", raw[1].name, target)
    archive.fails(1, '"00000002.history" is there', "wal", "fetch", "orders", raw[2].name, target)
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


# --- times ---------------------------------------------------------------------------------------

TIMES = [
    ("Europe/Berlin", "2026-10-25 02:30",
     r'twice: write "2026-10-25 02:30:00\+02:00" or "2026-10-25 02:30:00\+01:00"'),
    ("Europe/Berlin", "2026-03-29 02:30",
     r'never showed it: write "2026-03-29 01:30:00\+01:00" or "2026-03-29 03:30:00\+02:00"'),
    ("Europe/Nowhere", "2026-11-21 10:15", "TZ=Europe/Nowhere.*add an offset"),
    ("UTC", "11/12/2026 10:15", "none of the forms.*2026-11-21T09:15:00Z"),
    ("UTC", "2026-11-21 10:15 CET", "\"CET\" is not a known zone"),
]


@pytest.mark.once
@pytest.mark.parametrize("zone, text, reason", TIMES)
def test_a_time_that_is_ambiguous_is_refused(line, shared, zone, text, reason):
    """With what to type instead, wherever a time is given."""
    backstay = line[0]
    env = {"TZ": zone}
    backstay.fails(2, reason, "restore", "orders", "--to", shared.path / "never", "--at", text,
                   env=env)
    backstay.fails(2, reason, "timeline", "orders", "--from", text, env=env)
    backstay.fails(2, reason, "timeline", "orders", "--to", text, env=env)
    backstay.fails(2, reason, "copy", "orders", "--from", "local", "--to", "other", "--since",
                   text, env=env)
