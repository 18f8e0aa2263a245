"""Whose backups and WAL a source takes where everything that would tell is damaged."""
import shutil

import pytest

from backstay import interrupt
from pgserver import wait_for
from test_former_cluster import late_segment, talk_to

pytestmark = pytest.mark.once


def spoil_manifests(backstay):
    for path in backstay.objects("orders/snapshots"):
        path.chmod(0o600)
        path.write_bytes(b"rubbish")


def test_all_manifests_are_damaged(ws):
    settings = {"archive_command": "/bin/true"}
    own, backstay = ws.pair(wal_segsize_mb=1, settings=settings)
    other = ws.server("other").init(wal_segsize_mb=1, settings=settings).start()
    wal = backstay.repository / "orders" / "wal"
    backstay.backup("--standalone")
    backstay.run("wal", "push", "orders", late_segment(own))
    spoil_manifests(backstay)

    # The archive tells.
    backstay.fails(1, "is another cluster .*--new-cluster", "wal", "push", "orders",
                   late_segment(other))
    talk_to(backstay, other, own)
    backstay.fails(1, "is another cluster .*--new-cluster", "backup", "orders", "--standalone")
    assert len(list(wal.iterdir())) == 1
    talk_to(backstay, own, other)
    backstay.run("wal", "push", "orders", late_segment(own))
    assert backstay.backup("--standalone")["mode"] == "full"

    # Nothing tells, until the operator says so.
    spoil_manifests(backstay)
    shutil.rmtree(wal)
    for server in (own, other):
        backstay.fails(1, r"does not tell whether it is this one .*repo check local.*backup orders"
                       " --new-cluster", "wal", "push", "orders", late_segment(server))
    backstay.fails(1, "does not tell whether it is this one", "backup", "orders", "--standalone")
    backstay.backup("--standalone", "--new-cluster")
    backstay.run("wal", "push", "orders", late_segment(own))
    backstay.fails(1, "is another cluster", "wal", "push", "orders", late_segment(other))
    backstay.backup("--standalone")


def test_delta_over_a_former_cluster_without_pg_control(ws):
    """As an interrupted restore leaves it: the segments themselves tell whose they are, and what no
    repository has is archived beside that cluster's other WAL before it is removed, though nothing
    marks it."""
    settings = {"archive_command": "/bin/false"}
    old, backstay = ws.pair(wal_segsize_mb=1, settings=settings)
    new = ws.server("new").init(wal_segsize_mb=1, settings=settings).start()
    backstay.backup("--standalone")
    backstay.run("wal", "push", "orders", late_segment(old))
    system = int(old.value("SELECT system_identifier FROM pg_control_system()"))
    old.script("CREATE TABLE late (id int)")  # its commit is on disk, as that of a mere xid is not yet
    last = old.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    talk_to(backstay, new, old)
    backstay.backup("--standalone", "--new-cluster")
    old.stop("immediate")
    for path in (old.data / "pg_wal" / "archive_status").iterdir():
        path.unlink()
    content = (old.data / "pg_wal" / last).read_bytes()
    (old.data / "global" / "pg_control").unlink()
    new.stop()

    report = backstay.restore(old.data, "--delta", "--no-archive")
    assert last in report["unarchived_wal"], report
    archived = backstay.repository / "orders" / "wal" / f"{system:016X}"
    assert last in {path.name for path in archived.rglob("*")}
    fetched = ws.path / "fetched"
    backstay.run("wal", "fetch", "orders", last, fetched, "--system", str(system))
    assert fetched.read_bytes() == content


def test_an_interrupted_first_backup_of_the_new_cluster_is_continued(ws):
    """Though the former cluster has a finished one, further in the WAL of the same timeline."""
    settings = {"archive_command": "/bin/true"}
    old, backstay = ws.pair(wal_segsize_mb=1, settings=settings)
    new = ws.server("new").init(wal_segsize_mb=1, settings=settings).start()
    old.script("CREATE TABLE filler AS SELECT repeat('x', 500) AS t FROM generate_series(1, 40000)")
    backstay.backup("--standalone")
    talk_to(backstay, new, old)
    backstay.edit_config("workers: 2", "workers: 2\n    resume_interval: 200ms")

    def unfinished():
        return [row["snapshot"] for row in backstay.snapshots() if row["state"] == "unfinished"]

    process = backstay.start("-q", "backup", "orders", "--standalone", "--new-cluster",
                             "--max-rate", "5MiB")
    wait_for("a checkpoint manifest", lambda: unfinished() or process.poll() is not None)
    assert process.poll() is None, backstay.finish(process)
    interrupt(process)
    backstay.finish(process)
    begun = unfinished()
    report = backstay.next_backup("--standalone")
    assert report["parent"] in begun, report
