"""A cluster that the source has left is backed up only when it is declared current again, wherever the
repository is and whatever this host's cache remembers."""
import pytest

pytestmark = pytest.mark.once


def late_segment(server):
    """A segment that the server has finished."""
    name = server.value("SELECT pg_walfile_name(pg_switch_wal())")
    return server.data / "pg_wal" / name


def talk_to(backstay, here, there):
    """The source's server is `here` from now on."""
    backstay.edit_config(there.conninfo(), here.conninfo())
    backstay.edit_config(f"data: {there.data}", f"data: {here.data}")


@pytest.mark.parametrize("place_of", ["directory", "bucket"])
def test_a_former_cluster_is_backed_up_only_when_it_is_declared(ws, gateway, place_of):
    settings = {"archive_command": "/bin/true"}
    if place_of == "directory":
        old, backstay = ws.pair(wal_segsize_mb=1, settings=settings)
    else:
        old, backstay = ws.bucket_pair(gateway.bucket(), wal_segsize_mb=1, settings=settings)
    new = ws.server("new").init(wal_segsize_mb=1, settings=settings)
    new.start()

    backstay.backup("--standalone")
    talk_to(backstay, new, old)
    backstay.backup("--standalone", "--new-cluster")
    backstay.run("wal", "push", "orders", late_segment(old))
    talk_to(backstay, old, new)
    for _ in range(2):
        backstay.fails(1, "was continued with another cluster.*backup orders --new-cluster", "backup",
                       "orders", "--standalone")
        backstay.run("wal", "push", "orders", late_segment(old))
    assert len(backstay.snapshots()) == 2

    # Another host goes on with the other cluster, of which this one's cache does not know.
    backstay.backup("--standalone", "--new-cluster")
    talk_to(backstay, new, old)
    backstay.run("backup", "orders", "--standalone", "--new-cluster",
                 env={"BACKSTAY_CACHE": str(ws.path / "second.cache")})
    talk_to(backstay, old, new)
    backstay.fails(1, "was continued with another cluster", "backup", "orders", "--standalone")
    assert len(backstay.snapshots()) == 4

    # What this host has noted of the cluster makes no difference to its WAL: it is taken, beside the
    # other's, and status says so.
    for env in ({}, {"BACKSTAY_CACHE": str(ws.path / "third.cache")}):
        old.rows("SELECT txid_current()")
        backstay.run("wal", "push", "orders", late_segment(old), env=env)
    assert any(text.startswith("two servers archive") for text in backstay.status()["problems"])
