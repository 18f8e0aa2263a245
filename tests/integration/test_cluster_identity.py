"""Whose backups and WAL a source takes where everything that would tell is damaged."""
import shutil

import pytest

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
