"""What comes back is what was there, byte for byte."""
import os
import random

import pytest

import compare
from backstay import verify_backup

KINDS = [
    "CREATE TABLE plain (id int PRIMARY KEY, t text)",
    "INSERT INTO plain SELECT g, md5(g::text) FROM generate_series(1, 20000) g",
    "CREATE INDEX ON plain (t)", "CREATE INDEX ON plain USING hash (t)",
    "CREATE TABLE toasted (id int PRIMARY KEY, body text)",
    "ALTER TABLE toasted ALTER body SET STORAGE external",
    "INSERT INTO toasted SELECT g, repeat(md5(g::text), 3000) FROM generate_series(1, 60) g",
    "CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, t text)",
    "INSERT INTO unlogged SELECT g, 'x' FROM generate_series(1, 5000) g",
    "CREATE TABLE parted (id int, t text) PARTITION BY RANGE (id)",
    "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (5000)",
    "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (5000) TO (10000)",
    "INSERT INTO parted SELECT g, 'p' || g FROM generate_series(0, 9999) g",
    "CREATE INDEX ON parted (id)",
    "CREATE TABLE empty_one (id int)",
    "CREATE TABLE cleared (id int, t text)",
    "INSERT INTO cleared SELECT g, repeat('y', 200) FROM generate_series(1, 20000) g",
    "DELETE FROM cleared WHERE id < 19000",
    "SELECT lo_from_bytea(0, decode(repeat('00ff10', 100000), 'hex')) FROM generate_series(1, 5)",
    "CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM plain",
]


def make_every_kind(server):
    """A table of each kind: toast, unlogged, partitioned, large objects, empty, mostly free."""
    server.script(*KINDS)


def unlogged_main_forks(server):
    """Files of unlogged relations, which come back as their init forks only."""
    return {row[0] for row in server.rows(
        "SELECT pg_relation_filepath(oid) || fork FROM pg_class,"
        " (VALUES (''), ('_fsm'), ('_vm')) f (fork)"
        " WHERE relpersistence = 'u' AND relkind IN ('r', 'i', 't')")}


def quiesced_copy(ws, **init):
    """(server stopped cleanly after a backup with no writes, backstay, files not to compare)."""
    server, backstay = ws.pair(**init)
    make_every_kind(server)
    server.settle()
    ignore = unlogged_main_forks(server)
    backstay.backup()
    server.stop()
    return server, backstay, ignore


@pytest.mark.parametrize("checksums", [True, False], ids=["checksums", "no-checksums"])
def test_a_quiesced_cluster_is_equal(ws, checksums):
    """Every data file of a quiesced cluster byte for byte, with and without data checksums."""
    server, backstay, ignore = quiesced_copy(ws, checksums=checksums, wal_segsize_mb=16)
    restored = ws.restored("back")
    backstay.restore(restored.data)
    compare.assert_equal(server.data, restored.data, ignore)
    for name in ignore:
        assert not (restored.data / name).exists(), "an unlogged relation's data was restored"
    verify_backup(ws.path, restored.data)
    restored.start_restored()
    restored.amcheck()
    assert restored.value("SELECT count(*) FROM unlogged") == 0
    assert restored.value("SELECT count(*) FROM parted") == 10000
    assert restored.value("SELECT sum(length(body)) FROM toasted") == 60 * 32 * 3000
    assert restored.value("SELECT sum(length(lo_get(oid))) FROM pg_largeobject_metadata") == 1500000
    restored.script("INSERT INTO unlogged VALUES (1, 'works')")


@pytest.mark.parametrize("size", [1, pytest.param(64, marks=pytest.mark.nightly)])
def test_other_segment_sizes_are_equal(ws, size):
    """The archive and recovery take WAL segments of any size."""
    server, backstay, ignore = quiesced_copy(ws, wal_segsize_mb=size)
    restored = ws.restored("back")
    backstay.restore(restored.data)
    compare.assert_equal(server.data, restored.data, ignore)
    restored.start_restored()
    assert restored.value("SELECT count(*) FROM plain") == 20000


def test_compression_and_one_worker_change_no_byte(ws):
    """Every pair of options has a byte-for-byte comparison."""
    server, backstay, ignore = quiesced_copy(ws)
    server.start()
    for method in ("none", "lz4", "zstd:9"):
        snapshot = backstay.backup("--full", "--compress", method, "--workers", "1")
        target = ws.path / f"back-{method.replace(':', '-')}"
        backstay.restore(target, "--at", snapshot["snapshot"], "--workers", "1")
        compare.assert_equal(server.data, target, ignore)


@pytest.mark.slow
def test_files_of_more_than_a_gigabyte_are_equal(ws):
    """1 GB segments crossed."""
    server, backstay = ws.pair(settings={"max_wal_size": "4GB"})
    # One row a page: a gigabyte of pages costs a tenth of that in WAL and in the repository.
    server.script("CREATE TABLE big (id int, filler text) WITH (fillfactor = 10)",
                  "ALTER TABLE big ALTER filler SET STORAGE plain",
                  "INSERT INTO big SELECT g, repeat(md5(g::text), 25) FROM"
                  " generate_series(1, 132000) g")
    files = compare.main_fork_files(server, "big")
    assert len(files) == 2 and (server.data / files[0]).stat().st_size == 1 << 30
    server.settle()
    backstay.backup()
    server.stop()
    restored = ws.restored("back")
    backstay.restore(restored.data)
    compare.assert_equal(server.data, restored.data)
    restored.start_restored()
    assert restored.rows("SELECT count(*), sum(id::bigint) FROM big") == [
        (132000, 132000 * 132001 // 2)]


def test_databases_come_and_go_during_the_backup(ws):
    """A database created and dropped during the backup; tables that vanish, grow and shrink."""
    server, backstay = ws.pair()
    make_every_kind(server)
    server.script("CREATE DATABASE doomed", "CREATE TABLE goes AS SELECT * FROM plain")
    process = backstay.start("backup", "orders", "--max-rate", "8MiB", "--json")
    round_ = 0
    while process.poll() is None:
        server.script(f"CREATE DATABASE made_{round_}",
                      f"CREATE TABLE t_{round_} AS SELECT * FROM plain",
                      "INSERT INTO plain SELECT g, 'late' FROM generate_series("
                      f"{30000 + round_ * 1000}, {30999 + round_ * 1000}) g",
                      "DELETE FROM cleared WHERE id < 19900", "VACUUM cleared")
        if round_ == 0:
            server.script("DROP DATABASE doomed", "DROP TABLE goes")
        else:
            server.script(f"DROP DATABASE made_{round_ - 1}", f"DROP TABLE t_{round_ - 1}")
        round_ += 1
    result = backstay.finish(process)
    assert result.status == 0, result
    assert round_ >= 2, "the backup was over before anything happened"
    server.archive_all()
    totals = server.rows("SELECT count(*), sum(id) FROM plain")
    restored = ws.restored("back")
    backstay.restore(restored.data)
    verify_backup(ws.path, restored.data)
    restored.start_restored()
    restored.amcheck()
    assert restored.rows("SELECT count(*), sum(id) FROM plain") == totals
    assert restored.databases() == server.databases()
    left = {f"base/{row[0]}" for row in restored.rows("SELECT oid FROM pg_database")}
    found = {f"base/{path.name}" for path in (restored.data / "base").iterdir()}
    assert found - {"base/pgsql_tmp"} == left, "files of a dropped database stayed"


def test_two_tablespaces_go_to_other_places(ws):
    """Two tablespaces, with --tablespace remapping; links say the new places."""
    server, backstay = ws.pair()
    for name in ("fast", "cold"):
        ws.directory(name)
        server.script(f"CREATE TABLESPACE {name} LOCATION '{ws.path / name}'",
                      f"CREATE TABLE in_{name} TABLESPACE {name} AS"
                      " SELECT g AS id, md5(g::text) AS t FROM generate_series(1, 5000) g",
                      f"CREATE INDEX ON in_{name} (id) TABLESPACE {name}")
    server.script("CREATE DATABASE elsewhere TABLESPACE cold")
    server.settle()
    backstay.backup()
    server.stop()
    restored = ws.restored("back")
    report = backstay.restore(
        restored.data, "--tablespace", f"fast={ws.path / 'fast2'}",
        "--tablespace", f"cold={ws.path / 'cold2'}")
    assert {row["name"]: row["to"] for row in report["tablespaces"]} == {
        "fast": str(ws.path / "fast2"), "cold": str(ws.path / "cold2")}
    compare.assert_equal(server.data, restored.data)
    links = {os.readlink(link) for link in (restored.data / "pg_tblspc").iterdir()}
    assert links == {str(ws.path / "fast2"), str(ws.path / "cold2")}
    verify_backup(ws.path, restored.data)
    restored.start_restored()
    restored.amcheck()
    assert restored.value("SELECT count(*) FROM in_fast JOIN in_cold USING (id, t)") == 5000
    assert "elsewhere" in restored.databases()


def test_temporary_and_stray_files_stay_out(ws):
    """Temporary relations and files are left out; empty and zero pages come back."""
    server, backstay = ws.pair()
    server.script("CREATE TABLE t (id int)")
    with server.session() as cursor:
        cursor.execute("CREATE TEMP TABLE scratch AS SELECT generate_series(1, 50000) AS id")
        cursor.execute("SELECT pg_relation_filepath('scratch')")
        temporary = cursor.fetchone()[0]
        zeros = server.data / server.value("SELECT pg_relation_filepath('t')")
        server.settle()
        with open(zeros, "ab") as file:
            file.truncate(40 * 8192)
        backstay.backup()
        # Compared while the session lives: its end drops the relation, and that changes catalogs.
        assert (server.data / temporary).exists()
        restored = ws.restored("back")
        backstay.restore(restored.data)
        assert not (restored.data / temporary).exists()
        compare.assert_equal(server.data, restored.data)
    same = restored.data / zeros.relative_to(server.data)
    assert same.read_bytes() == bytes(40 * 8192)


@pytest.fixture(scope="module")
def quiesced(shared):
    return quiesced_copy(shared)


def damage_some(directory, names, seed):
    """Each of the ways in which a file of an old directory can be wrong."""
    chance = random.Random(seed)
    chosen = chance.sample(sorted(names), 5)
    flipped, shortened, lengthened, removed, replaced = (directory / name for name in chosen)
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    os.truncate(shortened, shortened.stat().st_size // 2)
    with open(lengthened, "ab") as file:
        file.write(b"more" * 5000)
    removed.unlink()
    replaced.write_bytes(chance.randbytes(replaced.stat().st_size))
    (directory / "base" / "stray").write_bytes(b"not of this cluster")
    return chosen


@pytest.mark.parametrize("state", ["equal", "damaged", "foreign"])
def test_delta_makes_any_directory_equal(shared, quiesced, state):
    """--delta onto an equal, a partly damaged, and a foreign directory."""
    server, backstay, ignore = quiesced
    restored = shared.restored(f"delta-{state}")
    if state == "foreign":
        restored.init()
    else:
        backstay.restore(restored.data)
    if state == "damaged":
        names = [name for name, path in compare.files_of(restored.data).items()
                 if name.startswith("base/") and path.stat().st_size >= 8192]
        damage_some(restored.data, names, seed=7)
    report = backstay.restore(restored.data, "--delta")
    compare.assert_equal(server.data, restored.data, ignore)
    verify_backup(shared.path, restored.data)
    if state == "equal":
        assert report["written_bytes"] < report["bytes"] // 10
    assert report["reused_bytes"] > 0 or state == "foreign"
    restored.start_restored()
    assert restored.value("SELECT count(*) FROM plain") == 20000
    restored.stop()


def test_replace_moves_the_old_directory_aside(shared, quiesced):
    """--replace moves the old directory aside, never deletes."""
    server, backstay, ignore = quiesced
    restored = shared.restored("replaced")
    shared.directory("replaced")
    (restored.data / "precious").write_text("kept")
    backstay.restore(restored.data, "--replace")
    compare.assert_equal(server.data, restored.data, ignore)
    aside = [path for path in shared.path.iterdir()
             if path.name.startswith("replaced") and (path / "precious").exists()]
    assert len(aside) == 1 and aside[0] != restored.data
    assert (aside[0] / "precious").read_text() == "kept"
