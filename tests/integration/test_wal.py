"""The WAL archive: wal push and wal fetch, called as PostgreSQL calls them."""
import itertools
import shutil

import pytest

import place
from pgserver import wait_for


@pytest.fixture(scope="module")
def raw(shared):
    """Real WAL segments and a backup history file, as an archiver hands them out."""
    directory = shared.directory("raw")
    server = shared.server("maker")
    server.init(settings={"archive_command": f"cp %p {directory}/%f", "wal_keep_size": "1GB"},
                wal_segsize_mb=16).start()
    server.script("CREATE TABLE t (id int)")
    for number in range(12):
        server.script(f"INSERT INTO t SELECT generate_series(1, {1000 * (number + 1)})")
        server.archive_all()
    server.assert_out_of_backup_mode()
    server.archive_all()
    wait_for("the backup history file", lambda: list(directory.glob("*.backup")))
    server.stop()
    return directory


_numbers = itertools.count()


@pytest.fixture
def archive(shared):
    """A new repository."""
    backstay = shared.backstay(name=f"w{next(_numbers)}")
    backstay.run("init")
    yield backstay
    shutil.rmtree(backstay.repository, ignore_errors=True)


def segments_of(raw):
    return sorted(path for path in raw.iterdir() if len(path.name) == 24)


def owned_file(path, data):
    path.write_bytes(data)
    return place.give_to_owner(path)


def fetched(archive, name, *options):
    target = archive.home / f"{archive.name}.out"
    target.unlink(missing_ok=True)
    archive.run("wal", "fetch", "orders", name, target, *options)
    return target.read_bytes()


@pytest.mark.quick
def test_what_is_pushed_is_fetched(archive, raw):
    for path in segments_of(raw)[:3]:
        archive.run("wal", "push", "orders", path)
        assert fetched(archive, path.name) == path.read_bytes()


def test_the_same_content_again_is_fine(archive, raw):
    """wal push: durable, idempotent."""
    path = segments_of(raw)[0]
    archive.run("wal", "push", "orders", path)
    before = archive.objects("orders/wal")
    archive.run("wal", "push", "orders", path)
    assert archive.objects("orders/wal") == before


@pytest.mark.parametrize("down", ["local", "second"])
def test_one_repository_that_is_down_does_not_starve_the_other(archive, raw, shared, down):
    """The call fails, since the file is not everywhere; but what is ready goes to the other one."""
    second = archive.home / f"{archive.name}.second"
    archive.edit_config("sources:", f"  second: {{ path: {second}, key_file: {second}.key }}\n"
                        "sources:")
    archive.edit_config("to: [local]", "to: [local, second]")
    archive.run("init")
    first, *rest = segments_of(raw)[:6]
    archive.run("wal", "push", "orders", first)
    directory = shared.directory(f"{archive.name}-wal")
    status = place.make_directory(directory / "archive_status")
    for path in rest:
        owned_file(directory / path.name, path.read_bytes())
        owned_file(status / f"{path.name}.ready", b"")
    lost, kept = ((archive.repository, second) if down == "local"
                  else (second, archive.repository))
    away = lost.rename(lost.with_suffix(".away"))
    archive.fails(1, f"repository \"{down}\"", "wal", "push", "orders", directory / rest[0].name)
    present = {path.name for path in (kept / "orders" / "wal").rglob("0*") if path.is_file()}
    assert present == {path.name for path in (first, *rest)}
    away.rename(lost)
    for path in rest:
        archive.run("wal", "push", "orders", directory / path.name)
    assert len([path for path in (lost / "orders" / "wal").rglob("0*") if path.is_file()]) == 6


def test_other_content_is_a_conflict(archive, raw, shared):
    """Conflict refused: the first content stays."""
    first = segments_of(raw)[0]
    archive.run("wal", "push", "orders", first)
    impostor = shared.directory("impostor") / first.name
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    owned_file(impostor, bytes(content))
    archive.fails(1, "already has different content", "wal", "push", "orders", impostor)
    assert fetched(archive, first.name) == first.read_bytes()


def test_a_segment_under_a_wrong_name_is_refused(archive, raw, shared):
    """What the header says must fit the name."""
    first, second = segments_of(raw)[:2]
    renamed = shared.directory("renamed") / first.name
    owned_file(renamed, second.read_bytes())
    archive.fails(1, "its header belongs to another segment", "wal", "push", "orders", renamed)


def test_history_partial_and_backup_files_go_the_same_way(archive, raw, shared):
    """Timeline history and backup history files go the same way."""
    directory = shared.directory("others")
    segment = segments_of(raw)[4]
    label = next(raw.glob("*.backup"))
    history = owned_file(directory / "00000002.history",
                         b"1\t0/3000000\tno recovery target specified\n")
    archive.fails(1, "nothing beside it tells of which cluster", "wal", "push", "orders", history)
    owned_file(directory / segments_of(raw)[5].name, segments_of(raw)[5].read_bytes())
    files = {
        "00000002.history": b"1\t0/3000000\tno recovery target specified\n",
        f"{segment.name}.partial": segment.read_bytes(),
        label.name: label.read_bytes(),
    }
    for name, data in files.items():
        archive.run("wal", "push", "orders", owned_file(directory / name, data))
        assert fetched(archive, name) == data
        archive.run("wal", "push", "orders", directory / name)
    assert archive.attempt("wal", "fetch", "orders", segment.name, directory / "out").status == 3


BAD_NAMES = ["segment", "00000001000000000000000", "0000000100000000000000011", "postgresql.conf",
             "000000010000000000000001.gz", "00000001000000000000000g", "00000002.historic",
             "000000010000000000000001.0000028.backup", "0000002.history", ".partial",
             "000000010000000000000001.partial.partial", "000000010000000000000001 "]


@pytest.mark.once
@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_of_a_wrong_form_is_refused(archive, shared, name):
    """Segment name of a wrong form: one clear line and exit status 2."""
    path = owned_file(shared.path / name, b"x" * 100)
    archive.fails(2, "", "wal", "push", "orders", path)
    archive.fails(2, "", "wal", "fetch", "orders", name, shared.path / "out")
    assert archive.objects("orders/wal") == [] and not (shared.path / "out").exists()
    path.unlink()


@pytest.mark.quick
def test_absent_is_three_and_unknown_is_one(archive, raw, shared):
    """Exit 3 for absent, 1 for unknown."""
    path = segments_of(raw)[0]
    target = shared.path / "nothing-here"
    for name in (path.name, "00000009.history", "0000000900000000000000AB"):
        assert archive.attempt("wal", "fetch", "orders", name, target).status == 3
    archive.run("wal", "push", "orders", path)
    away = archive.repository.with_suffix(".away")
    archive.repository.rename(away)
    archive.fails(1, str(archive.repository), "wal", "fetch", "orders", path.name, target)
    archive.fails(1, str(archive.repository), "wal", "fetch", "orders", "00000009.history", target)
    archive.fails(1, str(archive.repository), "wal", "push", "orders", path)
    assert not target.exists() and not archive.repository.exists()
    away.rename(archive.repository)
    archive.run("wal", "fetch", "orders", path.name, target)
    assert target.read_bytes() == path.read_bytes()


def test_a_failing_fetch_leaves_what_was_there(archive, raw, shared):
    """wal fetch writes PATH whole or not at all."""
    target = owned_file(shared.path / "RECOVERYXLOG", b"old")
    assert archive.attempt("wal", "fetch", "orders", segments_of(raw)[0].name, target).status == 3
    assert target.read_bytes() == b"old"


def test_parallel_pushes_of_the_same_and_of_others(archive, raw):
    """Many processes at once: each success means that the segment is there, whole."""
    paths = segments_of(raw)[:6]
    processes = [archive.start("wal", "push", "orders", path) for path in paths + paths]
    for process in processes:
        result = archive.finish(process)
        assert result.status == 0, result
    for path in paths:
        assert fetched(archive, path.name) == path.read_bytes()


def test_prefetch_gives_the_same_bytes(archive, raw):
    """Prefetch of the following segments changes no byte."""
    paths = segments_of(raw)
    for path in paths:
        archive.run("wal", "push", "orders", path)
    for path in paths:
        assert fetched(archive, path.name, "--prefetch", "8") == path.read_bytes()


def test_what_was_fetched_ahead_for_one_source_is_not_given_to_another(archive, raw, shared):
    """Nor to a configuration with another repository, nor after the end of recovery."""
    paths = segments_of(raw)
    directory = shared.directory(f"{archive.name}-ahead")
    archive.write_config(archive.default_config() + archive.default_config().split(
        "sources:\n")[1].replace("orders", "other"))
    archive.run("wal", "push", "other", paths[0])
    for path in paths:
        archive.run("wal", "push", "orders", path)
    archive.run("wal", "fetch", "orders", paths[0].name, directory / "out", "--prefetch", "4")
    wait_for("the prefetch", lambda: list(directory.rglob(paths[4].name)))
    (directory / "out").unlink()
    archive.fails(3, paths[1].name, "wal", "fetch", "other", paths[1].name, directory / "out")
    assert list(directory.rglob(paths[4].name))
    archive.fails(3, "history", "wal", "fetch", "orders", "00000002.history", directory / "out")
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("place_of_flip", ["head", "middle", "tail"])
def test_a_flipped_byte_in_the_archive_fails_the_fetch(archive, raw, shared, place_of_flip):
    """Any flipped byte is noticed, with the object's name, and no wrong byte is left."""
    path = segments_of(raw)[1]
    archive.run("wal", "push", "orders", path)
    [thing] = [one for one in archive.objects("orders/wal") if path.name == one.name]
    data = bytearray(thing.read_bytes())
    data[{"head": 12, "middle": len(data) // 2, "tail": -1}[place_of_flip]] ^= 0x40
    thing.unlink()
    owned_file(thing, data)
    target = shared.path / f"flipped-{place_of_flip}"
    archive.fails(1, path.name, "wal", "fetch", "orders", path.name, target)
    assert not target.exists()


def test_the_archiver_end_to_end(ws):
    """Ready segments are pushed in parallel by one process, each is acknowledged to its own call,
    and what was archived is what the server wrote."""
    server, backstay = ws.pair(settings={"wal_keep_size": "2GB"}, wal_segsize_mb=16)
    server.script("CREATE TABLE t (id int)",
                  "ALTER SYSTEM SET archive_command = '/bin/false'", "SELECT pg_reload_conf()")
    for number in range(25):
        server.script(f"INSERT INTO t SELECT generate_series(1, {number + 1} * 50)",
                      "SELECT pg_switch_wal()")
    server.script("ALTER SYSTEM RESET archive_command", "SELECT pg_reload_conf()")
    server.archive_all()
    server.rows("SELECT pg_stat_reset_shared('archiver')")
    for _ in range(5):
        server.script("INSERT INTO t VALUES (1)")
        server.archive_all()
    assert server.value("SELECT failed_count FROM pg_stat_archiver") == 0
    done = sorted(path.name[:-5] for path in
                  (server.data / "pg_wal" / "archive_status").glob("*.done")
                  if len(path.name) == 29)
    assert len(done) >= 30
    for name in done:
        target = ws.path / name
        backstay.run("wal", "fetch", "orders", name, target)
        assert target.read_bytes() == (server.data / "pg_wal" / name).read_bytes(), name
        target.unlink()


def test_an_outage_is_not_the_end_of_the_archive(ws):
    """Recovery never mistakes an outage for the end of the archive: it does not promote."""
    server, backstay = ws.pair()
    server.make_markers()
    backstay.backup()
    server.mark("must be there")
    server.archive_all()
    server.stop()
    restored = ws.restored("back")
    backstay.restore(restored.data)
    away = backstay.repository.with_suffix(".away")
    backstay.repository.rename(away)
    restored.start({"archive_mode": "off"}, wait=False)
    restored.wait_ended()
    assert "archive recovery complete" not in restored.log.read_text()
    away.rename(backstay.repository)
    restored.start_restored()
    assert restored.markers() == ["must be there"]
