"""What a released version wrote is read for ever: golden repositories restore to the same files, and
a reader that knows nothing but docs/format.md finds the same in them."""
import hashlib
import os

import pytest

import formatreader
import golden

pytestmark = pytest.mark.once


every_one = pytest.mark.parametrize("name", golden.names())
of_postgres = pytest.mark.parametrize("name", golden.names("postgres-*"))
of_samples = pytest.mark.parametrize("name", golden.names("sample-*"))


@pytest.fixture(scope="module")
def copies(shared):
    """{name: a program whose repository is a copy of the golden one}"""
    return {name: golden.copy(name, shared, shared.backstay(name=name))
            for name in golden.names()}


def read(name):
    return formatreader.Repository(golden.DATA / name / "repo", golden.DATA / name / "key")


def test_there_are_some():
    assert {"postgres-zstd", "sample-lz4", "sample-none"} <= set(golden.names())
    size = sum(path.stat().st_size for path in golden.DATA.rglob("*") if path.is_file())
    assert size < 2 << 20, "the golden repositories are a burden to every checkout"


@of_postgres
def test_every_snapshot_restores_to_the_same_files(shared, name, copies):
    backstay = copies[name]
    expected = golden.expected(name)
    assert backstay.complete() == sorted(expected)
    for snapshot, files in expected.items():
        target = shared.path / f"{name}-{snapshot}"
        backstay.restore(target, "--at", snapshot)
        assert golden.digests(target) == files


@of_postgres
def test_repositories_are_intact(name, copies):
    copies[name].run("repo", "check")


@every_one
def test_an_independent_reader_finds_the_same_files(name):
    """Every regular file of every manifest, through extents, packs, frames and keys."""
    for snapshot, files in golden.expected(name).items():
        found = read(name).snapshot("orders", snapshot)
        same = {file["path"]: hashlib.sha256(found.content(file)).hexdigest()
                for file in found.files if file["kind"] == formatreader.KINDS["regular"]
                and file["path"].split("/")[0] not in golden.OWN}
        assert same == {path: digest for path, digest in files.items() if path != "backup_label"}
        assert found.head["bytes"] == sum(file["size"] for file in found.files)


@of_postgres
def test_an_independent_reader_finds_the_same_wal(shared, name, copies):
    reader, count = read(name), 0
    for path in sorted((reader.path / "orders" / "wal").rglob("*")):
        if not path.is_file():
            continue
        kind = 5 if len(path.name) == 24 else 6
        file_name, content = reader.wal_file(str(path.relative_to(reader.path)), kind)
        assert file_name == path.name
        fetched = shared.directory(f"{name}-wal-{count}") / "fetched"
        copies[name].run("wal", "fetch", "orders", path.name, fetched)
        assert fetched.read_bytes() == content
        os.unlink(fetched)
        count += 1
    assert count >= 4


@of_samples
def test_an_independent_reader_finds_what_entries_say(name):
    """Files of every kind, with links, devices and attributes, and what only later versions know."""
    snapshot = read(name).snapshot("orders", "20261128T160000Z-00000001")
    files = {file["path"]: file for file in snapshot.files}
    assert snapshot.head["kind"] == "sample" and snapshot.head["meta"] == b"opaque"
    kinds = {path: file["kind"] for path, file in files.items()}
    assert kinds == {"a": 2, "a/empty": 1, "a/lines": 1, "a/sparse": 1, "a/\udcff name\n": 1,
                     "b": 4, "c": 5, "d": 6, "e": 7, "f": 3}
    assert files["a"]["mode"] == 0o1777 and files["a/\udcff name\n"]["mode"] == 0o6755
    assert files["a/lines"]["mtime"] == (1764345600, 123456789)
    assert files["a/lines"]["attributes"] == {b"user.color": b"red", b"user.empty": b""}
    assert files["a/lines"]["identity"] == {"ctime": (1764345601, 999999999), "inode": 4711,
                                            "device": (259, 2)}
    assert files["a/sparse"]["flags"] == 3 and files["a/sparse"]["extents"][0] == (1 << 20, None)
    assert files["b"]["link"] == files["f"]["link"] == "a/lines"
    assert files["d"]["node"] == files["e"]["node"] == (8, 1)


@of_samples
def test_inspect_finds_the_same(name, copies):
    listing = copies[name].run("inspect", "orders/snapshots/20261128T160000Z-00000001",
                               "--repository", "local", "--all").json()
    files = {file["path"]: file for file in listing["content"]["file_table"]}
    assert [file["kind"] for file in files.values()] == [
        "directory", "file", "file", "file", "file", "hard link", "fifo", "character device",
        "block device", "symlink"]
    lines = files["a/lines"]
    assert lines["attributes"] == ["user.color", "user.empty"] and lines["inode"] == 4711
    assert lines["mtime"] == "1764345600.123456789" and lines["ctime"] == "1764345601.999999999"
    assert files["d"]["node"] == "8:1" and files["a"]["mode"] == "1777"
    assert files["a/sparse"]["partial"] and files["a/sparse"]["changed_while_read"]
    pack = next((copies[name].repository / "orders" / "packs").rglob("*/*"))
    frames = copies[name].run("inspect", pack, "--key-file", copies[name].key_file,
                              "--all").json()["frame_table"]
    assert frames[0]["codec"] == name.removeprefix("sample-")
