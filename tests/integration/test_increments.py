"""Snapshots after the first cost what changed, and are complete all the same."""
import random
import shutil
import struct
import time

import pytest

import compare
import place
from backstay import interrupt, verify_backup
from pgserver import lsn_to_int, wait_for
from test_damage import rewrite
from workload import Sessions, Workload

MIB = 1 << 20
PAGE = 8192
ROWS_A_PAGE = 8
TABLE = [
    "CREATE TABLE t (id int PRIMARY KEY, v int, filler text) WITH (fillfactor = 50)",
    "ALTER TABLE t ALTER filler SET STORAGE plain",
    "INSERT INTO t SELECT g, 0, repeat(md5(g::text), 14) FROM generate_series(1, 16000) g",
]


class Scene:
    """A cluster with WAL segments of 1 MB, where `t` has 2000 pages, and its repository."""

    def __init__(self, ws, settings=None, **init):
        self.ws = ws
        self.server, self.backstay = ws.pair(
            wal_segsize_mb=1, settings={"bgwriter_lru_maxpages": "0", "max_wal_size": "32MB",
                                        "min_wal_size": "2MB", **(settings or {})}, **init)
        self.server.script(*TABLE)
        self.restores = 0

    def snapshot(self, *args):
        """A snapshot of a quiet moment: no later reader changes what it must be equal to."""
        self.server.settle()
        self.await_next_second()
        return self.backstay.backup(*args)

    def await_next_second(self):
        """Of two snapshots of one second chance decides which the next one takes for its parent."""
        newest = max((row["started"] for row in self.backstay.snapshots()), default="")[:19]
        wait_for("another second", lambda: time.strftime("%FT%T", time.gmtime()) > newest)

    def assert_same(self, report):
        """A restore of the snapshot is what the source is, byte for byte."""
        self.restores += 1
        target = self.ws.path / f"same-{self.restores}"
        spaces = [f"--tablespace={row[0]}={target}-{row[0]}" for row in self.server.rows(
            "SELECT spcname FROM pg_tablespace WHERE spcname NOT LIKE 'pg\\_%'")]
        self.backstay.restore(target, "--at", report["snapshot"], *spaces)
        compare.assert_equal(self.server.data, target, compare.unlogged_files(self.server.data),
                             compare.equal_but_unlogged(hints=True))
        verify_backup(self.ws.path, target)
        for path in [target, *(option.split("=")[2] for option in spaces)]:
            shutil.rmtree(path)

    def increment(self, *args):
        """An incremental snapshot that is equal to the source."""
        report = self.snapshot(*args)
        assert report["mode"] == "incremental" and report["why"] is None, report
        self.assert_same(report)
        return report

    def change_pages(self, blocks):
        """Updates one row of each of these blocks of `t`, within the page."""
        self.server.rows("UPDATE t SET v = v + 1 WHERE id = ANY(%s)",
                         [block * ROWS_A_PAGE + 3 for block in blocks])

    def update_all(self):
        self.server.script("UPDATE t SET v = v + 1")

    def setting(self, name, value):
        self.server.script(f"ALTER SYSTEM SET {name} = '{value}'", "SELECT pg_reload_conf()")

    def restart(self, **settings):
        self.server.configure(settings)
        self.server.stop()
        self.server.start()

    def manifest(self, snapshot):
        [path] = [each for each in self.backstay.objects("orders/snapshots")
                  if each.name == snapshot]
        return path

    def archived(self):
        """{name: object} of the archived segments."""
        return {path.name: path for path in self.backstay.objects("orders/wal")
                if len(path.name) == 24}

    def segment_since(self, parent):
        """The archived object of a segment wholly behind the parent, and with changes of `t`, that
        the server itself does not have any more."""
        first = int(parent["stop_lsn"].split("/")[1], 16) // MIB + 1
        for _ in range(3):
            self.update_all()
            self.server.script("VACUUM t", "CHECKPOINT")
        self.server.archive_all()
        name = f"{parent['timeline']:08X}{0:08X}{first + 3:08X}"

        def is_gone():
            self.server.script("CREATE TABLE IF NOT EXISTS tick ()", "DROP TABLE tick")
            self.server.archive_all()
            self.server.script("CHECKPOINT")
            return not (self.server.data / "pg_wal" / name).exists()
        wait_for(f"the server to give up {name}", is_gone)
        return self.archived()[name]

    def move_source(self, old, new):
        """From now on another server is the source."""
        self.backstay.edit_config(f"host={old.sockets} port={old.port}",
                                  f"host={new.sockets} port={new.port}")
        self.backstay.edit_config(f"data: {old.data}", f"data: {new.data}")
        self.server = new


@pytest.fixture
def scene(ws):
    return Scene(ws)


# --- what changed is what is read and stored ---------------------------------------------------


def test_the_first_one_is_full_and_then_nothing_changed(scene):
    """Files in which nothing changed are taken over without being opened."""
    full = scene.snapshot()
    assert full["mode"] == "full" and full["parent"] is None and full["why"]
    assert full["reused_bytes"] == 0 and full["read_bytes"] > 0.99 * full["bytes"]
    report = scene.increment()
    assert report["parent"] == full["snapshot"]
    assert report["reused_bytes"] > 0.9 * report["bytes"]
    assert report["read_bytes"] < 0.4 * report["bytes"]
    assert report["changed_bytes"] < MIB and report["new_bytes"] < MIB
    assert report["repacked_bytes"] == 0
    parts = [report[key] for key in ("changed_bytes", "repacked_bytes", "reused_bytes")]
    assert sum(parts) == report["bytes"]


def test_list_tells_what_each_one_cost(scene):
    reports = [scene.snapshot(), scene.snapshot(), scene.snapshot("--full")]
    rows = scene.backstay.snapshots()
    assert [row["mode"] for row in rows] == ["full", "incremental", "full"]
    for row, report in zip(rows, reports):
        for key in ("parent", "why", "read_bytes", "changed_bytes", "repacked_bytes",
                    "reused_bytes"):
            assert row[key] == report[key], key
    assert "incremental" in scene.backstay.run("list", "orders").stdout
    assert "incremental" in scene.backstay.run("backup", "orders").stdout


@pytest.mark.quick
def test_one_percent_of_the_pages(scene):
    """One percent of the pages, spread: a page changed costs about a page."""
    scene.snapshot()
    base = scene.increment()
    scene.change_pages(random.Random(1).sample(range(2000), 20))
    report = scene.increment()
    assert 20 * PAGE <= report["changed_bytes"] - base["changed_bytes"] + MIB // 2 < 2 * MIB
    assert report["read_bytes"] < base["read_bytes"] + 2 * MIB


def test_many_increments_in_a_row(scene):
    """Nothing is ever applied in sequence: each is complete."""
    scene.snapshot()
    for number in range(12):
        scene.change_pages(range(number * 7, 2000, 150))
        scene.snapshot()
        if number % 5 == 1:
            scene.increment()


def test_a_file_that_is_cut_off_and_grows_again(scene):
    """Blocks at or above a truncation point are read, also when the file is as long again."""
    scene.server.settle()
    size = scene.server.value("SELECT pg_relation_size('t')")
    scene.snapshot()
    scene.server.script(
        "DELETE FROM t WHERE id > 4000", "VACUUM t",
        "INSERT INTO t SELECT g, 7, repeat(md5((g + 1)::text), 14)"
        " FROM generate_series(4001, 16000) g")
    assert scene.server.value("SELECT pg_relation_size('t')") == size
    scene.increment()
    scene.server.script("DELETE FROM t WHERE id > 9000", "VACUUM t")
    assert scene.server.value("SELECT pg_relation_size('t')") < size
    report = scene.increment()
    assert report["reused_bytes"] > 0.8 * report["bytes"]


@pytest.mark.parametrize("statements", [
    ["DROP TABLE t", *TABLE], ["TRUNCATE t", TABLE[2]], ["VACUUM FULL t"],
    ["CLUSTER t USING t_pkey"], ["REINDEX TABLE t"], ["ALTER TABLE t ALTER v TYPE bigint"],
    ["ALTER TABLE t SET UNLOGGED", "UPDATE t SET v = 3 WHERE id < 99", "ALTER TABLE t SET LOGGED"],
    ["CREATE TABLE u AS SELECT * FROM t", "BEGIN", "DROP TABLE u", "ROLLBACK", "DROP TABLE u",
     "CREATE TABLE u AS SELECT * FROM t"],
], ids=["drop", "truncate", "vacuum-full", "cluster", "reindex", "rewrite", "unlogged", "again"])
def test_a_relation_that_is_made_anew(scene, statements):
    scene.snapshot()
    scene.server.script(*statements)
    scene.increment()
    scene.server.script("UPDATE t SET v = 5 WHERE id % 500 = 0")
    scene.increment()


def test_databases_created_by_copying_files(scene):
    """Nothing of a database that was copied as files is taken over, also under the old name."""
    server = scene.server
    strategy = "STRATEGY file_copy" if server.version >= 15 else ""
    server.script("CREATE DATABASE original")
    server.script("CREATE TABLE c AS SELECT g AS id FROM generate_series(1, 50000) g",
                  dbname="original")
    scene.snapshot()
    server.script(f"CREATE DATABASE copied TEMPLATE original {strategy}")
    scene.increment()
    server.script("UPDATE c SET id = -id WHERE id % 100 = 0", dbname="copied")
    server.script("DROP DATABASE copied", f"CREATE DATABASE copied TEMPLATE original {strategy}")
    scene.increment()
    if server.version >= 15:
        server.script("CREATE DATABASE logged TEMPLATE original STRATEGY wal_log")
        scene.increment()


def test_moves_between_tablespaces(scene):
    """Tables, indexes and a database that move, and move back."""
    server = scene.server
    for name in ("fast", "cold"):
        scene.ws.directory(name)
        server.script(f"CREATE TABLESPACE {name} LOCATION '{scene.ws.path / name}'")
    server.script("CREATE DATABASE wanders TABLESPACE fast")
    server.script("CREATE TABLE w AS SELECT g AS id FROM generate_series(1, 9000) g",
                  dbname="wanders")
    scene.snapshot()
    for number, space in enumerate(("cold", "fast", "pg_default")):
        server.script(f"ALTER TABLE t SET TABLESPACE {space}",
                      f"ALTER INDEX t_pkey SET TABLESPACE {space}",
                      f"ALTER DATABASE wanders SET TABLESPACE {space}")
        scene.snapshot()
        scene.change_pages(range(number, 2000, 40))
        server.script(f"DELETE FROM w WHERE id % 90 = {number}", dbname="wanders")
        scene.increment()


def test_a_crash_of_the_server_in_between(scene):
    """Replay writes pages without any new WAL: the old WAL told of them."""
    scene.snapshot()
    scene.change_pages(range(0, 2000, 9))
    scene.server.kill()
    scene.server.start()
    scene.increment()
    scene.update_all()
    scene.server.stop("immediate")
    scene.server.start()
    scene.increment()


def test_full_trusts_nothing(scene):
    first = scene.snapshot()
    report = scene.snapshot("--full")
    assert report["mode"] == "full" and report["parent"] is None and report["why"]
    assert report["reused_bytes"] == 0 and report["read_bytes"] > 0.99 * report["bytes"]
    assert report["new_bytes"] > 0.9 * first["new_bytes"]
    scene.assert_same(report)
    assert scene.increment()["parent"] == report["snapshot"]


def test_damaged_pages_are_still_told_by_the_increment(scene):
    """A page that was bad in the parent and is taken over is as bad in the increment."""
    server = scene.server
    server.settle()
    path = server.data / server.value("SELECT pg_relation_filepath('t')")
    server.stop()
    with open(path, "r+b") as file:
        file.seek(7 * PAGE + 5000)
        file.write(b"damage")
    server.start()
    for _ in range(2):
        result = scene.backstay.attempt("backup", "orders", "--json")
        assert result.status == 1, result
        assert [page["block"] for page in result.json()["damaged_pages"]] == [7], result
        assert scene.backstay.snapshots()[-1]["state"] == "damaged"


# --- any snapshot may go -----------------------------------------------------------------------


def snapshot_after_a_loss(scene):
    """The report of a snapshot that is whole, of a backup that misses the newest one before it."""
    result = scene.backstay.attempt("backup", "orders", "--json")
    assert result.status == 1 and "is not there any more" in result.stderr, result
    report = result.json()
    assert report["state"] == "complete"
    return report


def test_any_snapshot_may_be_deleted(scene):
    """The parent, its parent, and one in the middle: none of the others is hurt."""
    reports, references = [], {}
    for number in range(6):
        scene.change_pages(range(number, 2000, 60))
        report = scene.snapshot()
        reference = scene.ws.path / f"reference-{number}"
        compare.reference_copy(scene.server.data, reference)
        reports.append(report)
        references[report["snapshot"]] = reference
    for number in (0, 3, 5):
        scene.manifest(reports[number]["snapshot"]).unlink()
    assert scene.backstay.complete() == [reports[number]["snapshot"] for number in (1, 2, 4)]
    for number in (1, 2, 4):
        target = scene.ws.path / f"back-{number}"
        scene.backstay.restore(target, "--at", reports[number]["snapshot"])
        compare.assert_equal(references[reports[number]["snapshot"]], target)
    report = snapshot_after_a_loss(scene)
    assert report["parent"] == reports[4]["snapshot"]
    for snapshot in scene.backstay.complete():
        scene.manifest(snapshot).unlink()
    report = snapshot_after_a_loss(scene)
    assert report["mode"] == "full"
    scene.assert_same(report)


# --- refresh -----------------------------------------------------------------------------------


def test_packs_that_are_mostly_dead_are_renewed(scene):
    """No pack of the newest snapshot is less than half live for long: what is left of it is read
    anew, so that it dies with the old snapshots."""
    scene.snapshot()
    refreshed = 0
    for number in range(12):
        scene.server.rows("UPDATE t SET v = v + 1, filler = repeat(md5((id + v)::text), 14)"
                          " WHERE id / 2000 = %s", number % 8)
        report = scene.snapshot()
        assert report["mode"] == "incremental"
        refreshed += report["repacked_bytes"]
    assert refreshed > 0
    last = scene.increment()
    again = scene.backstay.backup("--full")  # without settling: the source stays what `last` is
    assert last["stored_bytes"] < 2.2 * again["stored_bytes"]
    for snapshot in scene.backstay.complete():
        if snapshot != last["snapshot"]:
            scene.manifest(snapshot).unlink()
    scene.assert_same(last)


def test_the_oldest_packs_are_renewed_within_the_period(scene):
    """No byte in use is older than the period: the first packs serve no later snapshot."""
    scene.backstay.edit_config("workers: 2", "workers: 2\n    repack_after: 6s")
    first = scene.snapshot()
    first_packs = scene.backstay.objects("orders/packs")
    refreshed = 0
    for _ in range(8):
        time.sleep(1)
        refreshed += scene.snapshot()["repacked_bytes"]
    assert refreshed > 0.8 * first["bytes"]
    for pack in first_packs:
        pack.unlink()
    scene.increment()


def test_without_a_period_nothing_is_renewed(scene):
    scene.snapshot()
    time.sleep(2)
    assert scene.increment()["repacked_bytes"] == 0


# --- where the WAL does not tell, or cannot be trusted -----------------------------------------


def test_a_segment_that_is_missing(scene):
    """A gap falls back to comparing pages, and says which segment."""
    parent = scene.snapshot()
    gone = scene.segment_since(parent)
    gone.unlink()
    report = scene.snapshot()
    assert report["mode"] == "scan" and gone.name in report["why"], report
    assert report["parent"] == parent["snapshot"]
    assert report["read_bytes"] > 0.9 * report["bytes"]
    assert report["reused_bytes"] > 0
    scene.assert_same(report)
    scene.increment()


@pytest.mark.parametrize("frame", [0, 1, 2])
def test_a_segment_that_is_damaged(scene, frame):
    """Whatever part of the object is damaged, its summary included: content is right."""
    parent = scene.snapshot()
    path = scene.segment_since(parent)
    rewrite(path, flipped(path.read_bytes(), frame))
    report = scene.snapshot()
    assert report["mode"] in ("incremental", "scan"), report
    if report["mode"] == "scan":
        assert path.name in report["why"], report
    scene.assert_same(report)


def flipped(data, frame):
    """A sealed object with one bit changed in the middle of one frame's body."""
    data, at = bytearray(data), 80
    for number in range(frame + 1):
        size = struct.unpack_from("<I", data, at)[0] & 0x7FFFFFFF
        if number == frame:
            data[at + 4 + size // 2] ^= 1
        at += 4 + size + 16
    return bytes(data)


def test_segments_that_are_not_archived_yet(scene):
    """The archiver lags: what it has not taken is read from the server's own WAL."""
    scene.snapshot()
    # One that fails would end the backup.
    scene.setting("archive_command", f"while ! test -e {scene.ws.path}/goes-on; do sleep 0.1; done; "
                  + scene.backstay.archive_command())
    for _ in range(3):
        scene.change_pages(range(0, 2000, 30))
        scene.server.script("SELECT pg_switch_wal()")
    scene.server.settle()
    process = scene.backstay.start("backup", "orders", "--json")
    wait_for("the backup to begin", lambda: scene.backstay.status()["lease"] is not None)
    time.sleep(2)
    (scene.ws.path / "goes-on").touch()
    result = scene.backstay.finish(process)
    assert result.status == 0, result
    report = result.json()
    assert report["mode"] == "incremental", report
    scene.assert_same(report)


def test_wal_level_minimal_in_between(scene):
    """What was written at wal_level minimal is in no WAL."""
    parent = scene.snapshot()
    scene.update_all()
    scene.restart(wal_level="minimal", max_wal_senders=0, archive_mode="off", wal_keep_size=0)
    server = scene.server
    server.script("BEGIN", "CREATE TABLE unseen (LIKE t)", "INSERT INTO unseen SELECT * FROM t",
                  "COMMIT", "UPDATE t SET v = 9 WHERE id % 60 = 0")
    with server.session() as cursor:
        cursor.execute("BEGIN; TRUNCATE t; INSERT INTO t SELECT * FROM unseen; COMMIT")
    scene.restart(wal_level="replica", max_wal_senders=4, archive_mode="on")
    report = scene.snapshot()
    assert report["mode"] == "scan" and report["why"], report
    assert report["parent"] == parent["snapshot"]
    scene.assert_same(report)
    scene.change_pages(range(0, 2000, 100))
    scene.increment()


def test_the_wal_was_reset_in_between(scene):
    """pg_resetwal begins the WAL anew somewhere later."""
    scene.snapshot()
    scene.change_pages(range(0, 2000, 11))
    scene.server.stop()
    scene.server.program("pg_resetwal", "-D", scene.server.data)
    scene.server.start()
    scene.change_pages(range(5, 2000, 13))
    report = scene.snapshot()
    assert report["mode"] != "incremental" and report["why"], report
    scene.assert_same(report)


def test_the_cluster_was_restored_in_between(scene):
    """After a restore the timeline is another one: page by page once, then as ever."""
    first = scene.snapshot()
    old = scene.server
    scene.change_pages(range(0, 2000, 20))
    old.archive_all()
    old.stop()
    restored = scene.ws.restored("second")
    scene.backstay.restore(restored.data)
    restored.start()
    wait_for("the end of recovery", lambda: not restored.value("SELECT pg_is_in_recovery()"))
    scene.move_source(old, restored)
    scene.change_pages(range(0, 2000, 33))
    report = scene.snapshot()
    assert report["timeline"] == 2 and report["mode"] == "scan" and report["why"], report
    assert report["parent"] == first["snapshot"]
    scene.assert_same(report)
    scene.change_pages(range(0, 2000, 44))
    assert scene.increment()["parent"] == report["snapshot"]


def test_a_snapshot_of_an_abandoned_life_is_no_parent(scene):
    """Its pages have LSNs that the new life has used otherwise: nothing is taken from it."""
    first = scene.snapshot()
    old = scene.server
    scene.update_all()
    abandoned = scene.snapshot()
    old.archive_all()
    old.stop()
    restored = scene.ws.restored("second")
    scene.backstay.restore(restored.data, "--at", first["snapshot"])
    restored.start()
    wait_for("the end of recovery", lambda: not restored.value("SELECT pg_is_in_recovery()"))
    scene.move_source(old, restored)
    restored.script("UPDATE t SET v = -5 WHERE id % 400 = 0")
    report = scene.snapshot()
    assert lsn_to_int(report["start_lsn"]) < lsn_to_int(abandoned["start_lsn"]), "proves nothing"
    assert report["parent"] in (None, first["snapshot"]) and report["mode"] != "incremental", report
    scene.assert_same(report)


def test_the_cluster_was_rewound_in_between(scene):
    """pg_rewind changes pages without telling in the WAL."""
    old, backstay = scene.server, scene.backstay
    scene.snapshot()
    old.archive_all()
    new = scene.ws.restored("second")
    backstay.restore(new.data, "--archive")
    new.start()
    wait_for("the end of recovery", lambda: not new.value("SELECT pg_is_in_recovery()"))
    new.script("UPDATE t SET v = 11 WHERE id % 30 = 0", "CHECKPOINT")
    new.archive_all()
    old.script("UPDATE t SET v = 22 WHERE id % 50 = 0")
    parent = scene.snapshot()
    old.archive_all()
    old.stop()
    new.stop()
    fetch = f"{backstay.binary} -c {backstay.config} wal fetch orders %f %p"
    old.configure({"restore_command": fetch})
    old.program("pg_rewind", "--restore-target-wal", "--source-pgdata", new.data,
                "--target-pgdata", old.data)
    # The settings are those of the other one now.
    (old.data / "postgresql.auto.conf").write_text(f"restore_command = '{fetch}'\n")
    place.give_to_owner((old.data / "recovery.signal").touch() or old.data / "recovery.signal")
    old.start()
    wait_for("the end of recovery", lambda: not old.value("SELECT pg_is_in_recovery()"))
    assert old.value("SELECT count(*) FROM t WHERE v = 22") == 0
    report = scene.snapshot()
    assert report["mode"] != "incremental" and report["parent"] != parent["snapshot"], report
    scene.assert_same(report)


# --- two sources that must agree ---------------------------------------------------------------


def write_behind(server, path, blocks, lsn):
    """Changes pages as no server would: on disk, with an LSN as if WAL told of it."""
    lsn = lsn_to_int(lsn)
    with open(path, "r+b") as file:
        for block in blocks:
            file.seek(block * PAGE)
            page = bytearray(file.read(PAGE))
            struct.pack_into("<II", page, 0, lsn >> 32, lsn & 0xFFFFFFFF)
            page[-100] ^= 1
            file.seek(block * PAGE)
            file.write(page)


@pytest.mark.parametrize("options, blocks, lsn",
                         [(["--check-reused"], [1234], None), ([], range(2000), None),
                          ([], range(0, 2000, 4), "0/1000028")],
                         ids=["audit", "sample", "not the parent's"])
def test_a_contradiction_is_loud_and_everything_is_read(ws, options, blocks, lsn):
    """A page that changed though the WAL says not, or that is older than the parent's: the run reads
    everything, its snapshot is good, and it fails."""
    scene = Scene(ws, checksums=False)
    server = scene.server
    parent = scene.snapshot()
    path = server.data / server.value("SELECT pg_relation_filepath('t')")
    server.script("CREATE TABLE other AS SELECT generate_series(1, 1000)")
    server.stop()
    write_behind(server, path, blocks, lsn or parent["stop_lsn"])
    server.start()
    scene.await_next_second()
    result = scene.backstay.attempt("backup", "orders", *options, "--json")
    assert result.status == 1, result
    assert server.value("SELECT pg_relation_filepath('t')") in result.stderr, result
    report = result.json()
    assert report["mode"] == "full" and report["why"] and report["state"] == "complete", report
    scene.assert_same(report)
    scene.increment()


@pytest.mark.parametrize("checksums", [True, False], ids=["checksums", "no-checksums"])
def test_an_audit_after_random_work_finds_nothing(ws, checksums):
    """--check-reused reads every page after an incremental decision."""
    scene = Scene(ws, checksums=checksums, settings={"max_prepared_transactions": "20"})
    chance = random.Random(4)
    workload = Workload(scene.server, chance)
    workload.prepare()
    scene.snapshot()
    for _ in range(3):
        with Sessions(scene.server, chance, 2):
            for _ in range(60):
                workload.step()
        workload.close()
        report = scene.backstay.backup("--check-reused")
        assert report["mode"] == "incremental", report


# --- continuing --------------------------------------------------------------------------------


def unfinished(scene):
    return [row["snapshot"] for row in scene.backstay.snapshots() if row["state"] == "unfinished"]


def kill_after_a_checkpoint(scene):
    """Kills a backup as soon as it has put another checkpoint manifest."""
    before = set(unfinished(scene))
    process = scene.backstay.start("-q", "backup", "orders", "--max-rate", "5MiB", "--break-lease")
    wait_for("a checkpoint manifest",
             lambda: set(unfinished(scene)) - before or process.poll() is not None)
    assert process.poll() is None, scene.backstay.finish(process)
    interrupt(process)
    scene.backstay.finish(process)


def test_ten_kills_and_the_first_snapshot_is_there(scene):
    """A first snapshot survives any number of restarts: each goes on where the one before was."""
    server, backstay = scene.server, scene.backstay
    backstay.edit_config("workers: 2", "workers: 2\n    resume_interval: 200ms")
    server.bench_init(scale=3)
    server.settle()
    for number in range(10):
        kill_after_a_checkpoint(scene)
        rows = unfinished(scene)
        assert rows and backstay.complete() == []
        assert "unfinished" in backstay.run("list", "orders").stdout
        scene.change_pages(range(number, 2000, 200))
    for target in (["--at", rows[-1]], ["--snapshot", rows[-1]], []):
        backstay.fails(3, "", "restore", "orders", "--to", scene.ws.path / "never", *target)
    assert not (scene.ws.path / "never").exists()
    server.settle()
    report = backstay.next_backup()
    assert report["parent"] in rows and report["mode"] == "incremental", report
    assert report["reused_bytes"] > report["bytes"] // 10
    assert report["read_bytes"] < report["bytes"]
    assert unfinished(scene) == [] and backstay.complete() == [report["snapshot"]]
    scene.assert_same(report)
    server.assert_out_of_backup_mode()


def test_an_unfinished_increment_is_continued(scene):
    """Also a later snapshot: what it had stored is not stored again."""
    scene.backstay.edit_config("workers: 2", "workers: 2\n    resume_interval: 200ms")
    first = scene.snapshot()
    scene.update_all()
    scene.server.settle()
    kill_after_a_checkpoint(scene)
    assert scene.backstay.complete() == [first["snapshot"]]
    scene.change_pages(range(0, 2000, 77))
    scene.server.settle()
    report = scene.backstay.next_backup()
    assert report["mode"] == "incremental" and unfinished(scene) == [], report
    scene.assert_same(report)
