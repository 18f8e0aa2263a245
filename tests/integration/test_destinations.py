"""What a restore does to the directory that it restores into: WAL there that no repository has,
links, mount points, tablespaces, pg_wal on another disk, and whether a copy archives."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import place
from pgserver import PgServer

BROKEN = {"archive_command": "/bin/false"}


@pytest.fixture(scope="module")
def origin(shared):
    """A cluster with one snapshot, archived to its end, stopped. Tests work on copies of it and of
    its repository."""
    server, backstay = shared.pair("origin", wal_segsize_mb=1)
    server.make_markers()
    server.mark("one")
    backstay.backup()
    server.mark("two")
    server.archive_all()
    server.stop()
    return server, backstay


def clone(ws, origin):
    """The cluster and its repository, in directories of their own."""
    server, backstay = origin
    ours = ws.backstay(name="bs")
    for directory, to in ((server.data, ws.path / "pg"), (backstay.repository, ours.repository),
                          (backstay.key_file, ours.key_file)):
        place.run_as_owner(["cp", "-a", directory, to], ws.path)
    copy = ws.server("pg")
    ours.server = copy
    ours.write_config(ours.default_config())
    copy.configure({"archive_command": ours.archive_command(), "port": copy.port,
                    "unix_socket_directories": copy.sockets})
    return copy, ours


def recovered(server):
    server.start_restored()
    notes = server.markers()
    server.stop()
    return notes


def lag(server, stop):
    """Two finished segments and an unfinished one that the archiver does not get rid of."""
    server.start(BROKEN)
    for note in ("three", "four"):
        server.mark(note)
        server.rows("SELECT pg_switch_wal()")
    marker = server.mark("five")
    server.stop(stop)
    return marker


# --- WAL that only the destination has ----------------------------------------------------------

@pytest.mark.parametrize("stop", ["fast", "immediate"])
def test_delta_archives_the_wal_that_it_would_remove(ws, origin, stop):
    server, backstay = clone(ws, origin)
    lag(server, stop)
    plan = backstay.run("restore", "orders", "--to", server.data, "--delta", "--dry-run")
    assert "unarchived" in plan.stdout and "archived first" in plan.stdout, plan
    report = backstay.restore(server.data, "--delta")
    assert len(report["unarchived_wal"]) >= 3
    assert recovered(server) == ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize("kind", ["time", "lsn", "xid"])
def test_a_target_in_the_unarchived_wal_is_reached(ws, origin, kind):
    server, backstay = clone(ws, origin)
    server.start(BROKEN)
    server.mark("three")
    server.rows("SELECT pg_switch_wal()")
    four = server.mark("four")
    server.mark("five")
    server.stop("immediate")
    target = {"time": four.time, "lsn": f"lsn:{four.lsn}", "xid": f"xid:{four.xid}"}[kind]
    plan = backstay.run("restore", "orders", "--to", server.data, "--delta", "--at", target,
                        "--dry-run")
    assert "is in it" in plan.stdout, plan
    backstay.restore(server.data, "--delta", "--at", target)
    assert recovered(server) == ["one", "two", "three", "four"]


def test_a_target_that_lies_nowhere_is_refused_and_the_server_goes_on(ws, origin):
    server, backstay = clone(ws, origin)
    lag(server, "immediate")
    backstay.fails(3, ".", "restore", "orders", "--to", server.data, "--delta", "--at",
                   "2100-01-01 00:00:00+00")
    server.start()
    server.archive_all()
    assert server.markers() == ["one", "two", "three", "four", "five"]


def test_nothing_is_archived_after_a_clean_stop(ws, origin):
    server, backstay = clone(ws, origin)
    server.start()
    server.mark("three")
    server.stop("fast")
    assert backstay.restore(server.data, "--delta")["unarchived_wal"] == []
    assert recovered(server) == ["one", "two", "three"]


def test_delta_refuses_when_the_wal_cannot_be_archived(ws, origin):
    """The archive has other content under the names: another server of the same timeline."""
    server, backstay = clone(ws, origin)
    other = ws.path / "other"
    place.run_as_owner(["cp", "-a", server.data, other], ws.path)
    server.start()
    server.mark("archived")
    server.archive_all()
    server.stop()
    twin = ws.server("other")
    twin.start(BROKEN)
    twin.mark("only here")
    twin.rows("SELECT pg_switch_wal()")
    twin.stop("immediate")
    result = backstay.fails(1, "another history.*--discard-wal", "restore", "orders", "--to",
                            twin.data, "--delta")
    assert "0000000100000000" in result.stderr
    twin.start(BROKEN)
    assert twin.markers() == ["one", "two", "only here"]
    twin.stop()
    backstay.restore(twin.data, "--delta", "--discard-wal")
    assert recovered(twin) == ["one", "two", "archived"]


def test_delta_refuses_a_finished_segment_that_is_damaged(ws, origin):
    """It cannot be archived, and only its owner can say that nothing in it is wanted."""
    server, backstay = clone(ws, origin)
    server.start(BROKEN)
    server.mark("three")
    name = server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    server.rows("SELECT pg_switch_wal()")
    server.stop("immediate")
    segment = server.data / "pg_wal" / name
    with segment.open("r+b") as file:
        file.write(bytes(64))
    damaged = segment.read_bytes()
    result = backstay.fails(1, "damaged.*--discard-wal", "restore", "orders", "--to", server.data,
                            "--delta")
    assert name in result.stderr and segment.read_bytes() == damaged
    backstay.restore(server.data, "--delta", "--discard-wal")
    assert recovered(server) == ["one", "two"]


def test_delta_refuses_when_no_repository_can_be_written(ws, origin):
    server, backstay = clone(ws, origin)
    lag(server, "immediate")
    hidden = backstay.repository.with_suffix(".away")
    backstay.edit_config("sources:", "  second: { path: %s, key_file: %s }\nsources:"
                         % (hidden, backstay.key_file))
    backstay.edit_config("to: [local]", "to: [local, second]")
    result = backstay.attempt("restore", "orders", "--to", server.data, "--delta")
    assert result.status == 1 and "before it is overwritten" in result.stderr, result
    server.start(BROKEN)
    assert server.markers()[-1] == "five"


def test_a_copy_that_never_archived_is_no_obstacle(ws, origin):
    server, backstay = clone(ws, origin)
    copy = ws.restored("copy")
    backstay.restore(copy.data, "--no-archive")
    copy.start_restored()
    copy.mark("of the copy")
    copy.stop("immediate")
    assert backstay.restore(copy.data, "--delta", "--no-archive")["unarchived_wal"] == []
    assert recovered(copy) == ["one", "two"]
    assert server.data.exists()


def test_replace_says_how_to_archive_what_is_moved_aside(ws, origin):
    server, backstay = clone(ws, origin)
    lag(server, "immediate")
    result = backstay.run("restore", "orders", "--to", server.data, "--replace")
    commands = [line.strip() for line in result.stdout.splitlines()
                if line.startswith("  backstay ") or line.startswith("  touch ")]
    assert len(commands) >= 4, result
    assert recovered(server) == ["one", "two"]
    for command in commands:
        place.run_as_owner(["sh", "-c", command.replace("backstay", str(backstay.binary), 1)],
                           ws.path)
    backstay.restore(server.data, "--delta", "--discard-wal")
    assert recovered(server) == ["one", "two", "three", "four", "five"]


# --- whether the restored server archives --------------------------------------------------------

def archive_mode(server):
    server.start()
    mode = server.value("SHOW archive_mode")
    server.stop()
    return mode


def test_a_copy_beside_its_running_original_does_not_archive(ws, origin):
    server, backstay = clone(ws, origin)
    server.start()
    copy = ws.restored("copy")
    plan = backstay.run("restore", "orders", "--to", copy.data, "--dry-run")
    assert "--archive" in plan.stdout and "is running in" in plan.stdout, plan
    report = backstay.restore(copy.data)
    assert not report["archives"] and str(server.data) in report["archives_not_since"]
    assert archive_mode(copy) == "off"
    # The data directory is on another host: the server answers all the same.
    backstay.edit_config(f"data: {server.data}", "data: /nowhere")
    report = backstay.restore(copy.data, "--delta", "--dry-run")
    assert not report["archives"] and "answers" in report["archives_not_since"]
    report = backstay.restore(copy.data, "--delta", "--archive")
    assert report["archives"] and report["archives_not_since"] is None
    assert archive_mode(copy) == "on"


def test_a_restore_in_the_place_of_the_original_archives(ws, origin):
    server, backstay = clone(ws, origin)
    copy = ws.restored("copy")
    assert backstay.restore(copy.data)["archives"], "the original is stopped"
    assert backstay.restore(server.data, "--delta")["archives"]
    assert archive_mode(server) == "on"


def test_a_growing_archive_tells_of_a_living_original(ws, origin):
    server, backstay = clone(ws, origin)
    backstay.edit_config(f"data: {server.data}", "data: /nowhere")
    hidden = ws.path / "hidden"
    origin[0].data.rename(hidden)  # the snapshot names it as the original's
    try:
        for path in backstay.repository.rglob("*"):
            os.utime(path)
        report = backstay.restore(ws.path / "copy", "--dry-run")
        assert not report["archives"] and "grew" in report["archives_not_since"]
        for path in backstay.repository.rglob("*"):
            os.utime(path, (1_700_000_000, 1_700_000_000))
        report = backstay.restore(ws.path / "copy", "--dry-run")
        assert report["archives"]
    finally:
        hidden.rename(origin[0].data)


# --- links, mount points, tablespaces, pg_wal elsewhere ------------------------------------------

needs_mount = pytest.mark.skipif(not place.IS_ROOT or bool(place.CHROOT),
                                 reason="mounts a small file system, which only root may")


@pytest.fixture
def mount(ws):
    """A file system of its own, with a lost+found."""
    path = ws.directory("mounted")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400m,mode=0700", "tmpfs", path], check=True)
    place.give_to_owner(path)
    (path / "lost+found").mkdir(mode=0o700)
    yield path
    ws.stop_servers()
    subprocess.run(["umount", "-l", path], check=True)


def names_in(path):
    return {entry.name for entry in path.iterdir()}


def old_of(path):
    """What was moved aside into a directory of the same place."""
    old, = [entry for entry in path.iterdir()
            if entry.name.startswith("backstay-before-restore-")]
    return old


@pytest.mark.parametrize("option", ["--replace", "--delta"])
def test_a_link_as_destination_stays_and_leads_to_the_data(ws, origin, option):
    server, backstay = clone(ws, origin)
    disk = ws.directory("disk")
    server.data.rename(disk / "data")
    server.data.symlink_to(disk / "data")
    plan = backstay.run("restore", "orders", "--to", server.data, option, "--dry-run")
    assert str(disk / "data") in plan.stdout and "through the link" in plan.stdout, plan
    report = backstay.restore(server.data, option)
    assert server.data.is_symlink() and report["destination"] == str(disk / "data")
    if option == "--replace":
        assert report["moved_aside"].startswith(str(disk / "data.before-restore-"))
        assert (disk / "data" / "PG_VERSION").exists()
    assert recovered(server) == ["one", "two"]


def test_a_link_that_leads_nowhere_yet(ws, origin):
    _, backstay = clone(ws, origin)
    disk = ws.directory("disk")
    copy = ws.restored("copy")
    copy.data.symlink_to("disk/data")
    backstay.restore(copy.data)
    assert copy.data.is_symlink() and (disk / "data" / "PG_VERSION").exists()
    assert recovered(copy) == ["one", "two"]


@pytest.mark.once
@needs_mount
def test_replace_at_a_mount_point_moves_the_content_inside(ws, origin, mount):
    server, backstay = clone(ws, origin)
    copy = ws.restored("mounted")
    backstay.restore(mount)  # empty but for lost+found
    (mount / "precious").write_text("kept")
    place.give_to_owner(mount / "precious")
    plan = backstay.run("restore", "orders", "--to", mount, "--replace", "--dry-run")
    assert "into a subdirectory" in plan.stdout, plan
    assert (mount / "precious").exists()
    report = backstay.restore(mount, "--replace")
    old = old_of(mount)
    assert report["moved_aside"] == str(old)
    assert {"precious", "PG_VERSION", "global"} <= names_in(old)
    assert "lost+found" in names_in(mount) and "precious" not in names_in(mount)
    assert recovered(copy) == ["one", "two"]
    # Neither --delta nor a backup takes it for a part of the cluster.
    backstay.restore(mount, "--delta")
    assert "precious" in names_in(old) and "lost+found" in names_in(mount)
    copy.start_restored()
    backstay.edit_config(f"port={server.port}", f"port={copy.port}")
    backstay.edit_config(f"host={server.sockets}", f"host={copy.sockets}")
    backstay.edit_config(f"data: {server.data}", f"data: {copy.data}")
    snapshot = backstay.backup("--standalone")["snapshot"]
    copy.stop()
    third = ws.path / "third"
    backstay.restore(third, "--at", snapshot)
    assert not names_in(third) & {"lost+found", old.name}


def add_tablespace(server, backstay, directory):
    server.start()
    server.script(f"CREATE TABLESPACE fast LOCATION '{directory}'",
                  "CREATE TABLE in_fast TABLESPACE fast AS SELECT 7 AS n")
    backstay.backup()
    server.archive_all()
    server.stop()


def test_a_tablespace_directory_that_another_version_uses(ws, origin):
    """--replace moves only this cluster's directory aside, and the old cluster keeps it."""
    server, backstay = clone(ws, origin)
    fast = ws.directory("fast")
    add_tablespace(server, backstay, fast)
    own, = fast.iterdir()
    other = place.make_directory(fast / "PG_9_200000000")
    (other / "precious").write_text("of the other cluster")
    report = backstay.restore(server.data, "--replace")
    assert (other / "precious").read_text() == "of the other cluster"
    assert names_in(fast) == {own.name, other.name, old_of(fast).name}
    server.start_restored()
    assert server.value("SELECT n FROM in_fast") == 7
    server.stop()
    old = PgServer(ws.path, Path(report["moved_aside"]).name, server.port)
    assert os.readlink(next((old.data / "pg_tblspc").iterdir())) == str(old_of(fast))
    ws.servers.append(old)
    old.start({"archive_mode": "off"})
    assert old.value("SELECT n FROM in_fast") == 7
    old.stop()
    # A restore elsewhere may use a directory that only others use.
    shared_one = ws.directory("shared_one")
    (place.make_directory(shared_one / "PG_9_200000000") / "precious").write_text("kept")
    copy = ws.restored("copy")
    backstay.restore(copy.data, "--tablespace", f"fast={shared_one}")
    assert (shared_one / "PG_9_200000000" / "precious").exists()
    backstay.fails(1, "not empty", "restore", "orders", "--to", ws.path / "another",
                   "--tablespace", f"fast={shared_one}")


def move_wal(ws, server, backstay):
    """pg_wal on another disk, and a snapshot of that."""
    wal = ws.directory("wal")
    place.run_as_owner(["cp", "-a", f"{server.data}/pg_wal/.", wal], ws.path)
    shutil.rmtree(server.data / "pg_wal")
    (server.data / "pg_wal").symlink_to(wal)
    place.give_to_owner(server.data / "pg_wal")
    server.start()
    backstay.backup()
    server.archive_all()
    server.stop()
    return wal


@pytest.mark.parametrize("option", ["--delta", "--replace"])
def test_pg_wal_stays_on_its_disk(ws, origin, option):
    server, backstay = clone(ws, origin)
    wal = move_wal(ws, server, backstay)
    before = {path.name for path in wal.glob("0*")}
    report = backstay.restore(server.data, option)
    assert report["wal_directory"] == str(wal)
    assert os.readlink(server.data / "pg_wal") == str(wal)
    if option == "--replace":
        assert before <= names_in(old_of(wal))
        assert os.readlink(Path(report["moved_aside"]) / "pg_wal") == str(old_of(wal))
    assert recovered(server) == ["one", "two"]
    assert list(wal.glob("0*"))


def test_pg_wal_goes_where_it_is_told_to(ws, origin):
    server, backstay = clone(ws, origin)
    move_wal(ws, server, backstay)
    copy = ws.restored("copy")
    plan = backstay.run("restore", "orders", "--to", copy.data, "--dry-run")
    assert "--wal-dir DIR" in plan.stdout and str(ws.path / "wal") in plan.stdout, plan
    elsewhere = ws.path / "elsewhere"
    backstay.restore(copy.data, "--wal-dir", elsewhere)
    assert os.readlink(copy.data / "pg_wal") == str(elsewhere)
    assert recovered(copy) == ["one", "two"]
    assert list(elsewhere.glob("0*"))
    backstay.fails(1, "not empty", "restore", "orders", "--to", ws.path / "b", "--wal-dir",
                   elsewhere)
    backstay.fails(1, "must not contain each other", "restore", "orders", "--to", ws.path / "b", "--wal-dir",
                   ws.path / "b" / "w")
    backstay.fails(1, "does not move pg_wal", "restore", "orders", "--to", copy.data, "--delta",
                   "--wal-dir", ws.path / "w")
    plain = ws.restored("plain")
    assert backstay.restore(plain.data)["wal_directory"] is None
    assert not (plain.data / "pg_wal").is_symlink()
