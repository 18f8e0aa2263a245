"""Two servers of one cluster: an old primary rewound with the archive's help, and a copy made of files
that archives beside the original."""
import subprocess

import compare
import place
from pgserver import wait_for

FEW_SEGMENTS = {"wal_keep_size": "0", "min_wal_size": "2MB", "max_wal_size": "2MB",
                "wal_log_hints": "on", "checkpoint_timeout": "1h"}


def make_standby(ws, primary, name="standby"):
    standby = ws.server(name)
    primary.program("pg_basebackup", "-R", "-X", "stream", "-c", "fast", "-D", standby.data,
                    "-h", primary.sockets, "-p", primary.port, "-U", "postgres")
    return standby.start()


def promote(server):
    server.program("pg_ctl", "-D", server.data, "-w", "-t", "60", "promote")


def caught_up(standby, note):
    wait_for(f"{note} on the standby", lambda: note in standby.markers())


def drop_old_segments(server, below):
    """Removes what the server keeps in pg_wal below segment `below`, as a busy server does."""
    for path in (server.data / "pg_wal").glob("0*"):
        if len(path.name) == 24 and path.name[8:] < below[8:]:
            path.unlink()


def test_a_primary_that_was_rewound_with_the_archive(ws):
    """pg_rewind needs WAL that the old primary has recycled, and fetches it by restore_command."""
    old, backstay = ws.pair(wal_segsize_mb=1, settings=FEW_SEGMENTS)
    old.make_markers()
    old.script(f"ALTER SYSTEM SET restore_command = '{backstay.binary} -c {backstay.config}"
               " wal fetch orders %f \"%p\"'")
    backstay.backup()
    old.mark("before")
    new = make_standby(ws, old)
    caught_up(new, "before")
    promote(new)
    new.mark("new")
    new.archive_all()
    for number in range(3):
        old.mark(f"lost {number}")
        old.archive_all()
    old.script("CHECKPOINT")
    current = old.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    old.stop()
    drop_old_segments(old, current)
    log = place.run_as_owner(
        [place.PG_BIN / "pg_rewind", "-D", old.data, "-c", "-R", "--source-server", new.conninfo()],
        ws.path, check=False)
    assert log.returncode == 0, log.stderr
    old.start()
    new.mark("streamed")
    caught_up(old, "streamed")
    assert old.value("SELECT pg_is_in_recovery()")
    assert old.markers() == ["before", "new", "streamed"]

    backstay.edit_config(old.conninfo(), new.conninfo())
    backstay.edit_config(f"data: {old.data}", f"data: {new.data}")
    backstay.backup()
    new.mark("after the snapshot")
    new.archive_all()
    truth = new.markers()
    restored = ws.restored("r")
    backstay.restore(restored.data)
    assert restored.start_restored().markers() == truth
    restored.stop()
    # A snapshot after a rewind reuses nothing that the rewind replaced.
    old.stop()
    new.settle()
    new.stop()
    new.start()
    report = backstay.backup()
    new.stop()
    backstay.run("restore", "orders", "--to", ws.path / "whole", "--at", report["snapshot"])
    compare.assert_equal(new.data, ws.path / "whole")


def copy_files(ws):
    """A stopped server with a snapshot, and a copy of its files, which archives as it does."""
    server, backstay = ws.pair(wal_segsize_mb=1)
    server.make_markers()
    backstay.backup()
    server.mark("both")
    server.archive_all()
    server.stop()
    copy = ws.server("copy")
    subprocess.run(["cp", "-a", server.data, copy.data], check=True)
    return server, copy, backstay


def test_a_copy_of_files_that_archives_beside_the_original(ws):
    """Both have the same system identifier and timeline: the second content of a name is refused, the
    archive stays the original's, and status names it."""
    server, copy, backstay = copy_files(ws)
    server.start()
    server.mark("original")
    server.archive_all()
    copy.start()
    copy.mark("copy")
    copy.rows("SELECT pg_switch_wal()")
    wait_for("the copy's archiver to fail",
             lambda: copy.value("SELECT failed_count FROM pg_stat_archiver") > 0)
    server.mark("original again")
    server.archive_all()
    copy.stop("immediate")
    backstay.backup()
    server.mark("last")
    server.archive_all()
    restored = ws.restored("r")
    backstay.restore(restored.data)
    assert restored.start_restored().markers() == ["both", "original", "original again", "last"]


def test_a_copy_of_files_that_archives_first(ws):
    """The copy took a name before the original did: the original's archiver and backup fail and say so,
    rather than mix two histories."""
    server, copy, backstay = copy_files(ws)
    copy.start()
    copy.mark("copy")
    copy.archive_all()
    copy.stop()
    server.start()
    server.mark("original")
    server.rows("SELECT pg_switch_wal()")
    wait_for("the original's archiver to fail",
             lambda: server.value("SELECT failed_count FROM pg_stat_archiver") > 0)
    result = backstay.attempt("-q", "backup", "orders")
    assert result.status != 0, result
    assert any("wal" in line.lower() for line in result.error_lines()), result
    report = backstay.status()
    assert not report["ok"], report
