"""A source in several repositories: what one of them lacks, another one has."""
import pytest

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def scene(shared):
    """The first repository was away when the newest WAL was archived."""
    server, backstay = shared.pair()
    second = shared.path / "second"
    backstay.edit_config("sources:", f"  second: {{ path: {second}, key_file: {second}.key }}\n"
                         "sources:")
    backstay.edit_config("to: [local]", "to: [local, second]")
    backstay.run("init")
    server.make_markers()
    backstay.backup()
    server.mark("in both")
    server.archive_all()
    away = backstay.repository.rename(backstay.repository.with_suffix(".away"))
    marker = server.mark("in the second only")
    # Each call of the archiver fails as long as one is away, and serves the other.
    server.rows("SELECT pg_switch_wal()")
    segment = server.data / "pg_wal" / server.value(
        "SELECT pg_walfile_name(pg_current_wal_lsn() - 1)")
    backstay.attempt("wal", "push", "orders", segment)
    server.stop("immediate")
    away.rename(backstay.repository)
    assert not [path for path in backstay.objects("orders/wal") if path.name == segment.name]
    assert [path for path in second.rglob(segment.name)]
    return backstay, segment.name, marker


def plan(scene, target, *options):
    backstay, _, _ = scene
    return backstay.json("restore", "orders", "--to", backstay.home / "never", "--dry-run", "--at",
                         target, *options)


def test_latest_is_the_end_of_the_furthest(scene):
    _, segment, _ = scene
    assert plan(scene, "latest")["wal"]["last"] == segment
    assert plan(scene, "latest", "--repository", "local")["wal"]["last"] < segment


def test_a_target_is_taken_from_who_has_it(scene):
    backstay, segment, marker = scene
    assert plan(scene, f"xid:{marker.xid}")["wal"]["last"] == segment
    backstay.fails(3, "window", "restore", "orders", "--to", backstay.home / "never", "--at",
                   f"xid:{marker.xid}", "--repository", "local")


@pytest.mark.quick
def test_a_repository_that_fails_hides_none(scene):
    backstay, segment, marker = scene
    for path in (backstay.repository / "orders" / "snapshots").iterdir():
        path.chmod(0)
    try:
        for target in ("latest", f"xid:{marker.xid}"):
            assert plan(scene, target)["wal"]["last"] == segment
        # What the first one might hold is unknown, not absent.
        backstay.fails(1, "snapshots", "restore", "orders", "--to", backstay.home / "never",
                       "--at", "xid:4000000")
    finally:
        for path in (backstay.repository / "orders" / "snapshots").iterdir():
            path.chmod(0o600)


def test_an_object_that_cannot_be_read_is_taken_elsewhere(scene):
    """Permission denied for a pack of one repository: the other one has it too."""
    backstay, _, _ = scene
    target = backstay.home / "elsewhere"
    packs = backstay.objects("orders/packs")
    for path in packs:
        path.chmod(0)
    backstay.run("restore", "orders", "--to", target, "--at", "immediate")
    assert (target / "global" / "pg_control").exists()
    for path in packs:
        path.chmod(0o600)
