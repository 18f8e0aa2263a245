"""What is refused because of the state of a server, an archive or a destination: each with one
clear line, and before anything is written."""
import fcntl
import os
import shutil

import pytest

import place
from backstay import Backstay


@pytest.fixture(scope="module")
def pair(shared):
    server, backstay = shared.pair()
    server.make_markers()
    server.mark("before the snapshot")
    snapshot = backstay.backup()
    last = server.mark("after")
    server.archive_all()
    return server, backstay, snapshot, last


def other_configuration(shared, server, name):
    backstay = shared.backstay(server, name=name)
    backstay.run("init")
    return backstay


def test_a_server_that_cannot_be_reached(shared, pair):
    server, _, _, _ = pair
    backstay = other_configuration(shared, server, "reach")
    backstay.edit_config(f"port={server.port}", "port=1")
    backstay.fails(1, "port|connect|server", "backup", "orders")
    assert backstay.snapshots() == []


def test_a_role_that_is_not_permitted(shared, pair):
    server, _, _, _ = pair
    server.script("CREATE ROLE nobody LOGIN")
    backstay = other_configuration(shared, server, "role")
    backstay.edit_config("user=postgres", "user=nobody")
    backstay.fails(1, "nobody|permi|superuser|grant", "backup", "orders")
    assert backstay.snapshots() == []


def test_a_role_with_only_the_needed_grants_works(shared, pair):
    """Not a superuser is fine where the functions are granted."""
    server, _, _, _ = pair
    server.script("CREATE ROLE saver LOGIN", "GRANT pg_read_all_settings TO saver",
                  "GRANT pg_checkpoint TO saver" if server.version >= 15 else "SELECT 1")
    names = ["pg_backup_start(text, boolean)", "pg_backup_stop(boolean)"]
    if server.version < 15:
        names = ["pg_start_backup(text, boolean, boolean)", "pg_stop_backup(boolean, boolean)"]
    for name in names + ["pg_switch_wal()", "pg_create_restore_point(text)"]:
        server.script(f"GRANT EXECUTE ON FUNCTION {name} TO saver")
    backstay = other_configuration(shared, server, "saver")
    backstay.edit_config("user=postgres", "user=saver")
    backstay.run("backup", "orders", "--standalone")


UNFIT = {
    "wal_level minimal": ({"wal_level": "minimal", "max_wal_senders": "0", "archive_mode": "off"},
                          "wal_level"),
    "archive_mode off": ({"archive_mode": "off"}, "archive_mode|standalone"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_server_that_cannot_be_backed_up(ws, name):
    """wal_level minimal, archive_mode off: refused before anything is written."""
    settings, message = UNFIT[name]
    server, backstay = ws.pair(settings=settings)
    backstay.fails(1, message, "backup", "orders")
    assert not [path for path in backstay.objects(".") if "packs" in str(path)]
    if name == "archive_mode off":
        server.assert_out_of_backup_mode()
        backstay.run("backup", "orders", "--standalone")


def test_the_data_directory_of_another_cluster(ws, pair):
    """Data directory of another cluster (system identifier)."""
    server, backstay, _, _ = pair
    stranger = ws.server("stranger").init(settings={"archive_command": "/bin/true"})
    mixed = Backstay(backstay.binary, ws.path, server, name="mixed")
    mixed.edit_config(f"data: {server.data}", f"data: {stranger.data}")
    mixed.run("init")
    mixed.fails(1, "system identifier|another cluster", "backup", "orders")

    # A source that already has snapshots of one cluster takes none of another.
    stranger.start()
    text = backstay.config.read_text(encoding="utf-8")
    mixed.write_config(text.replace(server.conninfo(), stranger.conninfo())
                       .replace(f"data: {server.data}", f"data: {stranger.data}"))
    mixed.fails(1, "system identifier|another cluster", "backup", "orders")
    server.assert_out_of_backup_mode()
    stranger.assert_out_of_backup_mode()


def test_the_data_directory_of_a_copy(shared, pair):
    """A copy of the very cluster has its system identifier, and is not what the server works in."""
    server, _, _, _ = pair
    server.rows("CHECKPOINT")
    copy = shared.path / "copy"
    place.run_as_owner(["cp", "-a", server.data, copy], shared.path)
    backstay = other_configuration(shared, server, "copied")
    backstay.edit_config(f"data: {server.data}", f"data: {copy}")
    backstay.fails(1, "not the one", "backup", "orders", "--standalone")
    assert backstay.snapshots() == []
    server.assert_out_of_backup_mode()


def test_a_data_directory_that_is_none(shared, pair):
    server, _, _, _ = pair
    backstay = other_configuration(shared, server, "nodata")
    backstay.edit_config(f"data: {server.data}", f"data: {shared.path}/nothing")
    backstay.fails(1, "nothing", "backup", "orders")


def test_wal_of_another_past_of_the_cluster(ws):
    """A cluster brought back from a disk snapshot, without a new timeline, writes segments whose
    names the archive has already, with what its former future wrote: no WAL for its backup."""
    server, backstay = ws.pair()
    server.script("CREATE TABLE t AS SELECT 1 AS id")
    server.archive_all()
    server.stop()
    earlier = ws.path / "earlier"
    place.run_as_owner(["cp", "-a", server.data, earlier], ws.path)
    server.start()
    for _ in range(6):
        server.script("INSERT INTO t SELECT generate_series(1, 1000)")
        server.archive_all()
    server.stop()
    shutil.rmtree(server.data)
    earlier.rename(server.data)
    server.start({"archive_command": "/bin/false"})
    backstay.fails(1, "already has different content", "backup", "orders")
    assert backstay.snapshots() == []
    server.assert_out_of_backup_mode()


def test_a_destination_that_is_not_empty(shared, pair):
    _, backstay, _, _ = pair
    target = shared.directory("full")
    (target / "letter").write_text("mine")
    backstay.fails(1, "empty", "restore", "orders", "--to", target)
    assert [path.name for path in target.iterdir()] == ["letter"]


@pytest.mark.parametrize("option", [["--delta"], ["--replace"]], ids=["delta", "replace"])
def test_the_repository_and_its_key_are_no_destination(shared, pair, option):
    """What the restore reads from is neither swept nor moved aside."""
    server, _, _, _ = pair
    home = shared.directory(f"data{option[0]}")
    backstay = shared.backstay(server, name=f"inside{option[0]}")
    for name in ("repository", "key_file"):
        old = getattr(backstay, name)
        setattr(backstay, name, home / old.name)
        backstay.edit_config(str(old), str(home / old.name))
    (home / "PG_VERSION").write_text("15\n")
    backstay.run("init")
    backstay.run("backup", "orders", "--standalone")
    for target in (home, backstay.repository, backstay.repository / "orders" / "new"):
        backstay.fails(1, "repository \"local\"", "restore", "orders", "--to", target, *option)
    backstay.edit_config(str(backstay.repository), f"{backstay.repository}2")
    backstay.repository.rename(shared.path / f"out{option[0]}")
    backstay.edit_config(f"{backstay.repository}2", str(shared.path / f"out{option[0]}"))
    backstay.fails(1, "key file", "restore", "orders", "--to", home, *option)
    assert backstay.key_file.exists() and (home / "PG_VERSION").exists()


def test_two_restores_at_once(shared, pair):
    """The second of two restores to one directory would mix its files with those of the first."""
    _, backstay, snapshot, _ = pair
    target = shared.directory("contended")
    directory = os.open(target, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    backstay.fails(1, "another restore", "restore", "orders", "--to", target, "--at",
                   snapshot["snapshot"])
    assert list(target.iterdir()) == []
    os.close(directory)
    backstay.restore(target, "--at", snapshot["snapshot"])


@pytest.mark.parametrize("option", [[], ["--delta"], ["--replace"]],
                         ids=["plain", "delta", "replace"])
def test_the_destination_of_a_running_server(pair, option):
    """A running postmaster in it: refuse."""
    server, backstay, _, _ = pair
    backstay.fails(1, "running|empty" if not option else "running", "restore", "orders", "--to",
                   server.data, *option)
    assert server.value("SELECT count(*) FROM markers") == 2


def targets_outside(pair):
    _, _, snapshot, last = pair
    high, low = last.lsn.split("/")
    yield "2001-01-01 00:00:00Z"
    yield "2199-01-01 00:00:00Z"
    yield f"lsn:{high}/{int(low, 16) + 0x10000000:X}"
    yield "lsn:0/100028"
    yield f"lsn:{snapshot['start_lsn']}"


def test_targets_outside_the_windows(shared, pair):
    """An unreachable target is refused before anything is touched, with the windows that exist."""
    _, backstay, _, _ = pair
    target = shared.path / "never"
    for text in targets_outside(pair):
        for dry in ([], ["--dry-run"]):
            backstay.fails(3, "window", "restore", "orders", "--to", target, "--at", text, *dry)
    assert not target.exists()


def test_targets_that_nothing_matches(shared, pair):
    """Unknown snapshot, unknown timeline, a source without snapshots."""
    server, backstay, _, _ = pair
    target = shared.path / "never"
    unknown = "20200101T000000Z-00000000"
    backstay.fails(3, unknown, "restore", "orders", "--to", target, "--at", unknown)
    backstay.fails(3, unknown, "restore", "orders", "--to", target, "--snapshot", unknown)
    backstay.fails(3, "7", "restore", "orders", "--to", target, "--timeline", "7")
    empty = other_configuration(shared, server, "empty")
    empty.fails(3, "orders", "restore", "orders", "--to", target)
    assert empty.json("list", "orders")["sources"][0]["snapshots"] == []
    assert not target.exists()


def test_a_destination_that_cannot_be_written(shared, pair):
    """Unwritable destination."""
    _, backstay, _, _ = pair
    closed = shared.directory("closed")
    closed.chmod(0o500)
    backstay.fails(1, "closed", "restore", "orders", "--to", closed / "data")
    backstay.fails(1, "closed", "restore", "orders", "--to", closed)
    (shared.path / "a-file").write_text("mine")
    place.give_to_owner(shared.path / "a-file")
    backstay.fails(1, "a-file", "restore", "orders", "--to", shared.path / "a-file")
    assert (shared.path / "a-file").read_text() == "mine"


def test_a_tablespace_directory_that_exists(ws):
    """Tablespace directory that exists: the original is still in it, and stays untouched."""
    server, backstay = ws.pair()
    space = ws.directory("space")
    server.script(f"CREATE TABLESPACE space LOCATION '{space}'",
                  "CREATE TABLE t TABLESPACE space AS SELECT 1 AS id", "CHECKPOINT")
    backstay.backup()
    before = {path: path.stat().st_mtime_ns for path in space.rglob("*") if path.is_file()}
    target = ws.path / "back"
    backstay.fails(1, str(space), "restore", "orders", "--to", target)
    full = ws.directory("full")
    (full / "letter").write_text("mine")
    backstay.fails(1, str(full), "restore", "orders", "--to", target, "--tablespace",
                   f"space={full}")
    backstay.fails(2, "nosuch", "restore", "orders", "--to", target, "--tablespace",
                   f"nosuch={ws.path / 'n'}", "--tablespace", f"space={ws.path / 's'}")
    assert not (target / "global" / "pg_control").exists()
    assert before == {path: path.stat().st_mtime_ns for path in space.rglob("*") if path.is_file()}


def test_a_dry_run_touches_nothing(shared, pair):
    """--dry-run stops at the plan."""
    _, backstay, snapshot, _ = pair
    target = shared.path / "never"
    plan = backstay.json("restore", "orders", "--to", target, "--dry-run")
    assert plan["snapshot"] == snapshot["snapshot"] and plan["destination"] == str(target)
    assert plan["files"] > 900 and plan["wal"]["segments"] >= 1 and plan["reached"] is None
    assert snapshot["snapshot"] in backstay.run("restore", "orders", "--to", target,
                                                "--dry-run").stdout
    assert not target.exists()


def test_a_page_with_a_wrong_checksum_is_told(ws):
    """Page checksums verified: the snapshot is kept and marked damaged, never silently good."""
    server, backstay = ws.pair()
    server.script("CREATE TABLE t AS SELECT g AS id, md5(g::text) AS x"
                  " FROM generate_series(1, 50000) g")
    server.settle()
    path = server.value("SELECT pg_relation_filepath('t')")
    with open(server.data / path, "r+b") as file:
        file.seek(7 * 8192 + 4000)
        file.write(b"\xde\xad\xbe\xef")
    backstay.fails(1, f'of "orders" is kept but marked damaged: 1 page.*{path} block 7', "backup",
                   "orders")
    [row] = backstay.snapshots()
    assert row["state"] == "damaged"
    status = backstay.status()
    assert not status["ok"] and any("damaged" in problem for problem in status["problems"])
    backstay.restore(ws.path / "back", "--at", row["snapshot"])
    assert (ws.path / "back" / path).read_bytes() == (server.data / path).read_bytes()
    shutil.rmtree(ws.path / "back")
