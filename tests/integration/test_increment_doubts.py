"""Where an increment would take over what is no longer true: each of these once gave a wrong copy."""
import shutil
import time

import pytest

import place
from backstay import interrupt
from pgserver import lsn_to_int, wait_for
from test_increments import MIB, PAGE, Scene, unfinished


def lose_segment(scene, parent):
    """Removes the segment behind the parent's stop from archive and server, `t` untouched."""
    server = scene.server
    number = lsn_to_int(parent["stop_lsn"]) // MIB + 1
    name = f"{parent['timeline']:08X}{number // 4096:08X}{number % 4096:08X}"

    def is_archived_and_gone():
        server.script("CREATE TABLE IF NOT EXISTS tick ()", "DROP TABLE tick",
                      "SELECT pg_switch_wal()")
        server.archive_all()
        server.script("CHECKPOINT")
        return name in scene.archived() and not (server.data / "pg_wal" / name).exists()

    wait_for("the segment to be archived and recycled", is_archived_and_gone)
    scene.archived()[name].unlink()


def start_copy(scene, report):
    copy = scene.ws.restored("copy")
    scene.backstay.restore(copy.data, "--at", report["snapshot"])
    copy.start()
    wait_for("the end of recovery", lambda: not copy.value("SELECT pg_is_in_recovery()"))
    return copy


def count_by(server, path):
    """Rows of `h`, counted by the heap or by the index alone."""
    with server.session() as cursor:
        for scan in ("seqscan", "bitmapscan", "indexscan", "indexonlyscan"):
            wanted = scan == "seqscan" if path == "heap" else scan.startswith("index")
            cursor.execute(f"SET enable_{scan} = {'on' if wanted else 'off'}")
        cursor.execute("SELECT count(*) FROM h WHERE id > 0")
        return cursor.fetchone()[0]


@pytest.mark.parametrize("how", ["gap", "promotion"])
def test_the_visibility_map_fits_the_heap_without_checksums(ws, how):
    """Setting a page all-visible raises its LSN only where checksums are on."""
    scene = Scene(ws, checksums=False)
    server = scene.server
    server.script("CREATE TABLE h (id int) WITH (autovacuum_enabled = off)",
                  "INSERT INTO h SELECT generate_series(1, 100000)", "CREATE INDEX ON h (id)",
                  "SELECT count(*) FROM h", "CHECKPOINT")
    parent = scene.backstay.backup()
    server.script("VACUUM h", "CHECKPOINT")
    if how == "gap":
        lose_segment(scene, parent)
    else:
        server.archive_all()
        server.stop()
        scene.server = ws.restored("second")
        scene.backstay.restore(scene.server.data)
        scene.server.start()
        wait_for("the end of recovery",
                 lambda: not scene.server.value("SELECT pg_is_in_recovery()"))
        scene.server.script("CHECKPOINT")
        scene.move_source(server, scene.server)
    report = scene.backstay.backup()
    assert report["mode"] == "scan"
    copy = start_copy(scene, report)
    copy.script("DELETE FROM h WHERE id <= 50000")
    assert count_by(copy, "heap") == count_by(copy, "index") == 50000
    copy.stop()


def set_back(scene):
    """A copy of the disk, taken while the server is stopped, and the way back to it."""
    server = scene.server
    image = scene.ws.path / "image"
    server.settle()
    server.stop()
    shutil.copytree(server.data, image, symlinks=True)
    for path in [image, *image.rglob("*")]:
        place.give_to_owner(path)
    server.start()

    def go_back():
        server.stop()
        shutil.rmtree(server.data)
        image.rename(server.data)
        server.start()

    return go_back


def live_past(server, lsn):
    number = 0
    while lsn_to_int(server.value("SELECT pg_current_wal_lsn()::text")) < lsn_to_int(lsn) + 4 * MIB:
        server.script(f"CREATE TABLE fill{number} AS SELECT repeat('y', 700) "
                      "FROM generate_series(1, 1500)", f"DROP TABLE fill{number}")
        number += 1
    server.script("CHECKPOINT")


def test_a_cluster_that_was_set_back(ws):
    """The same timeline and the same positions, but another life: nothing may be taken over."""
    scene = Scene(ws, settings={"archive_mode": "off", "wal_keep_size": "200MB"})
    go_back = set_back(scene)
    scene.server.script("UPDATE t SET v = 111 WHERE id BETWEEN 100 AND 120", "CHECKPOINT",
                        "SELECT pg_switch_wal()")
    parent = scene.backstay.backup("--standalone")
    go_back()
    scene.server.script("UPDATE t SET v = 5 WHERE id = 15999")
    live_past(scene.server, parent["stop_lsn"])
    report = scene.backstay.backup("--standalone")
    assert report["mode"] == "full" and "history of the cluster" in report["why"]
    copy = start_copy(scene, report)
    rows = "SELECT count(*) FILTER (WHERE v = 111), count(*), sum(v) FROM t"
    assert copy.rows(rows) == scene.server.rows(rows)
    copy.stop()


def test_a_cluster_that_was_set_back_archives_into_the_other_life(ws):
    """The archive holds the other life under the same names: no snapshot comes of it."""
    scene = Scene(ws)
    go_back = set_back(scene)
    scene.server.script("UPDATE t SET v = 111 WHERE id % 3 = 0", "CHECKPOINT")
    scene.server.archive_all()
    parent = scene.backstay.backup()
    before = scene.backstay.complete()
    go_back()
    live_past(scene.server, parent["stop_lsn"])
    result = scene.backstay.attempt("backup", "orders", "--json")
    assert result.status == 1 and "two clusters are archiving into this source" in result.stderr
    assert scene.backstay.complete() == before


def test_a_database_made_again_under_its_number(ws):
    """Pages that were copied as files have old LSNs, of which the parent knows nothing."""
    scene = Scene(ws)
    server = scene.server
    if server.version < 15:
        pytest.skip("CREATE DATABASE has no OID and no STRATEGY before 15")
    server.script("CREATE DATABASE one")
    server.script("CREATE TABLE c AS SELECT g AS id, 1 AS v FROM generate_series(1, 5000) g",
                  dbname="one")
    server.script("CREATE DATABASE uno TEMPLATE one STRATEGY file_copy")
    server.script("UPDATE c SET v = 2", "VACUUM FREEZE c", dbname="uno")
    server.script("VACUUM FREEZE c", dbname="one")
    server.script("CREATE DATABASE d TEMPLATE one STRATEGY file_copy OID 30000")
    server.settle()
    parent = scene.backstay.backup()
    server.script("DROP DATABASE d", "CREATE DATABASE d TEMPLATE uno STRATEGY file_copy OID 30000")
    lose_segment(scene, parent)
    report = scene.backstay.backup()
    assert report["mode"] == "scan"
    copy = start_copy(scene, report)
    rows = "SELECT v, count(*) FROM c GROUP BY 1"
    assert copy.rows(rows, dbname="d") == server.rows(rows, dbname="d") == [(2, 5000)]
    copy.stop()


def test_damage_that_an_interrupted_backup_saw(ws):
    """Its pages are taken over by the next one, and so must be what is wrong with them."""
    scene = Scene(ws)
    scene.backstay.edit_config("workers: 2", "workers: 2\n    resume_interval: 200ms")
    server = scene.server
    server.script("CREATE TABLE zz AS SELECT g, repeat('x', 500) FROM generate_series(1, 120000) g")
    server.settle()
    path = server.data / server.value("SELECT pg_relation_filepath('t')")
    server.stop()
    with open(path, "r+b") as file:
        for block in (7, 100, 1500):
            file.seek(block * PAGE + 5000)
            file.write(b"damage")
    server.start()
    process = scene.backstay.start("-q", "backup", "orders", "--max-rate", "12MiB")
    time.sleep(4)  # long enough for `t` to be in a checkpoint, as a rule; true either way
    wait_for("a checkpoint", lambda: unfinished(scene))
    interrupt(process)
    scene.backstay.finish(process)
    result = scene.backstay.attempt("backup", "orders", "--json", "--break-lease")
    assert result.status == 1 and len(result.json()["damaged_pages"]) == 3


def test_a_large_file_that_is_no_relation(ws):
    """Its digests alone would be more than a row of the manifest may hold."""
    scene = Scene(ws)
    directory = scene.server.data / "log"
    directory.mkdir()
    large = directory / "postgresql.log"
    with open(large, "wb") as file:
        file.truncate(66 << 30)
    place.give_to_owner(directory)
    place.give_to_owner(large)
    assert scene.backstay.backup()["bytes"] > 66 << 30


def test_a_checkpoint_that_outlived_its_backup_is_no_parent(ws):
    """As after a kill between the manifest and the deletion, or where nothing may be deleted."""
    scene = Scene(ws)
    scene.backstay.edit_config("workers: 2", "workers: 2\n    resume_interval: 200ms")
    scene.server.settle()
    process = scene.backstay.start("-q", "backup", "orders", "--max-rate", "12MiB")
    wait_for("a checkpoint", lambda: scene.backstay.objects("orders/snapshots"))
    kept = None
    while kept is None:
        for path in scene.backstay.objects("orders/snapshots"):
            try:
                kept = (path, path.read_bytes())
            except OSError:
                continue  # replaced by the next one in this moment
    scene.backstay.finish(process)
    kept[0].write_bytes(kept[1])
    place.give_to_owner(kept[0])
    finished = [row for row in scene.backstay.snapshots() if row["state"] == "complete"]
    report = scene.backstay.backup()
    assert report["parent"] == finished[-1]["snapshot"]
    assert report["reused_bytes"] > 0.9 * report["bytes"]


@pytest.mark.parametrize("options", [[], ["--standalone"]], ids=["archive", "standalone"])
def test_a_database_that_moves_during_the_backup(ws, options):
    """Replay copies its files anew from where they were: there a snapshot must have them whole."""
    server, backstay = ws.pair()
    for name in ("fast", "cold"):
        ws.directory(name)
        server.script(f"CREATE TABLESPACE {name} LOCATION '{ws.path / name}'")
    server.script("CREATE DATABASE moving TABLESPACE cold")
    server.script("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 20000) g",
                  dbname="moving")
    process = backstay.start("backup", "orders", "--max-rate", "8MiB", "--json", *options)
    wait_for("the backup to hold the lease", lambda: backstay.status()["lease"] is not None)
    server.script("ALTER DATABASE moving SET TABLESPACE fast")
    assert process.poll() is None, "the backup was over before anything happened"
    result = backstay.finish(process)
    assert result.status == 0, result
    snapshot = result.json()["snapshot"]
    assert [row["state"] for row in backstay.snapshots()] == ["complete"], "an attempt is left over"
    restored = ws.restored("back")
    backstay.restore(restored.data, "--at", snapshot,
                     *(f"--tablespace={name}={ws.path / name}-back" for name in ("fast", "cold")))
    restored.start_restored()
    assert restored.value("SELECT count(*) FROM t", dbname="moving") == 20000
    restored.amcheck()
