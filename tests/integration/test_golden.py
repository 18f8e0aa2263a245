"""What a released version wrote is read for ever: golden repositories restore to the same files, and
a reader that knows nothing but docs/format.md finds the same in them."""
import hashlib
import os

import pytest

import formatreader
import golden

pytestmark = pytest.mark.once


@pytest.fixture(scope="module", params=golden.names())
def name(request):
    return request.param


@pytest.fixture(scope="module")
def backstay(shared, name):
    return golden.copy(name, shared, shared.backstay(name=name))


@pytest.fixture(scope="module")
def reader(name):
    return formatreader.Repository(golden.DATA / name / "repo", golden.DATA / name / "key")


def test_there_is_one():
    assert "postgres-zstd" in golden.names()
    size = sum(path.stat().st_size for path in golden.DATA.rglob("*") if path.is_file())
    assert size < 2 << 20, "the golden repositories are a burden to every checkout"


def test_every_snapshot_restores_to_the_same_files(shared, name, backstay):
    expected = golden.expected(name)
    assert backstay.complete() == sorted(expected)
    for snapshot, files in expected.items():
        target = shared.path / f"{name}-{snapshot}"
        backstay.restore(target, "--at", snapshot)
        assert golden.digests(target) == files


def test_repositories_are_intact(backstay):
    backstay.run("repo", "check")


def test_an_independent_reader_finds_the_same_files(name, reader):
    """Every regular file of every manifest, through extents, packs, frames and keys."""
    for snapshot, files in golden.expected(name).items():
        found = reader.snapshot("orders", snapshot)
        read = {file["path"]: hashlib.sha256(found.content(file)).hexdigest()
                for file in found.files if file["kind"] == formatreader.KINDS["regular"]
                and file["path"].split("/")[0] not in golden.OWN}
        assert read == {path: digest for path, digest in files.items() if path != "backup_label"}
        assert found.head["bytes"] == sum(file["size"] for file in found.files)


def test_an_independent_reader_finds_the_same_wal(shared, name, backstay, reader):
    count = 0
    for path in sorted((reader.path / "orders" / "wal").rglob("*")):
        if not path.is_file():
            continue
        kind = 5 if len(path.name) == 24 else 6
        file_name, content = reader.wal_file(str(path.relative_to(reader.path)), kind)
        assert file_name == path.name
        fetched = shared.directory(f"{name}-wal-{count}") / "fetched"
        backstay.run("wal", "fetch", "orders", path.name, fetched)
        assert fetched.read_bytes() == content
        os.unlink(fetched)
        count += 1
    assert count >= 4
