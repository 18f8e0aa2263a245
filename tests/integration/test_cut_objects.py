"""Objects that were cut off, or that are far longer than what was put: what is not whole counts for
nothing, the rest serves, and no memory is spent before something is authenticated."""
import os

import pytest

import place

pytestmark = pytest.mark.once


class Scene:
    """Two repositories, each with two snapshots and the WAL from the older one on."""

    def __init__(self, shared):
        server, backstay = shared.pair(wal_segsize_mb=1)
        self.server, self.backstay = server, backstay
        self.second = shared.path / "second"
        backstay.edit_config("sources:", f"  second: {{ path: {self.second}, key_file: "
                             f"{self.second}.key }}\nsources:")
        backstay.edit_config("to: [local]", "to: [local, second]")
        backstay.run("init")
        server.make_markers()
        server.mark("first")
        self.older = backstay.backup("--full")["snapshot"]
        server.mark("between")
        self.newer = backstay.backup("--full")["snapshot"]
        self.after = server.mark("after")
        server.mark("last")
        server.archive_all()
        self.markers = server.markers()
        server.stop()
        self.whole = {path: path.read_bytes() for path in self.manifests()}

    def manifests(self):
        return [top / "orders" / "snapshots" / each for each in (self.older, self.newer)
                for top in (self.backstay.repository, self.second)]

    def manifest(self, top, snapshot):
        return top / "orders" / "snapshots" / snapshot

    def mend(self):
        for path, content in self.whole.items():
            path.unlink(missing_ok=True)
            path.write_bytes(content)
            path.chmod(0o600)
            place.give_to_owner(path)

    def cut(self, top, snapshot, length):
        """To a length of LENGTHS: manifests of one snapshot may differ in theirs."""
        path = self.manifest(top, snapshot)
        path.write_bytes(self.whole[path])
        os.truncate(path, length(len(self.whole[path])))


@pytest.fixture(scope="module")
def scene(shared):
    return Scene(shared)


@pytest.fixture(autouse=True)
def mended(scene):
    yield
    scene.mend()


def plan(scene, *options):
    return scene.backstay.run("restore", "orders", "--to", scene.backstay.home / "never",
                              "--dry-run", "--json", *options)


# The head alone is whole, the middle is missing, the last byte is; and one byte too many.
LENGTHS = [lambda whole: whole // 2, lambda whole: whole - 64, lambda whole: whole - 1,
           lambda whole: whole + 1]


def test_a_cut_manifest_counts_nowhere(scene):
    backstay = scene.backstay
    for length in LENGTHS:
        for top in (backstay.repository, scene.second):
            scene.cut(top, scene.newer, length)
        assert backstay.complete() == [scene.older]
        listing = backstay.attempt("list", "orders")
        assert scene.newer in listing.stderr, listing
        report = backstay.status()
        assert any(scene.newer in each and "manifest is" in each for each in report["problems"])
        assert backstay.attempt("repo", "check", "local").status == 1


@pytest.mark.parametrize("target", ["latest", "immediate", "time"])
def test_the_snapshot_before_serves_with_more_wal(scene, target):
    backstay = scene.backstay
    at = scene.after.time if target == "time" else target
    for top in (backstay.repository, scene.second):
        scene.cut(top, scene.newer, LENGTHS[0])
    result = plan(scene, "--at", at)
    assert result.json()["snapshot"] == scene.older
    assert scene.newer in result.stderr and scene.older in result.stderr, result


def test_the_restore_itself_is_whole(scene, shared):
    backstay = scene.backstay
    for top in (backstay.repository, scene.second):
        scene.cut(top, scene.newer, LENGTHS[0])
    restored = shared.restored("copy")
    backstay.restore(restored.data, "--no-archive")
    restored.start_restored()
    assert restored.markers() == scene.markers
    restored.stop()


def test_a_repository_that_has_it_whole_serves(scene):
    backstay = scene.backstay
    for damaged in (backstay.repository, scene.second):
        scene.cut(damaged, scene.newer, LENGTHS[0])
        for target in ("latest", "immediate"):
            assert plan(scene, "--at", target).json()["snapshot"] == scene.newer
        scene.mend()


def test_the_one_that_is_asked_for_by_name_is_refused(scene):
    backstay = scene.backstay
    for top in (backstay.repository, scene.second):
        scene.cut(top, scene.newer, LENGTHS[0])
    backstay.fails(1, "manifest is cut off", "restore", "orders", "--to", backstay.home / "never",
                   "--snapshot", scene.newer)


def test_the_next_backup_does_not_build_on_it(scene):
    backstay = scene.backstay
    for top in (backstay.repository, scene.second):
        scene.cut(top, scene.newer, LENGTHS[0])
    scene.server.start()
    report = backstay.backup()
    scene.server.stop()
    for top in (backstay.repository, scene.second):
        scene.manifest(top, report["snapshot"]).unlink()
    assert report["parent"] == scene.older


def limited(scene):
    """The program with 300 MiB of address space."""
    script = scene.backstay.home / "limited"
    script.write_text(f"#!/bin/sh\nulimit -v 307200\nexec {scene.backstay.binary} \"$@\"\n")
    script.chmod(0o755)
    return script


def grow(path, size):
    """Holes make up the rest: 4 GiB that cost nothing."""
    os.truncate(path, size)


@pytest.mark.parametrize("start", ["whole", "one wrong byte", "none"])
def test_memory_of_a_manifest_without_end(scene, start):
    backstay = scene.backstay
    for top in (backstay.repository, scene.second):
        path = scene.manifest(top, scene.newer)
        if start == "none":
            path.write_bytes(b"")
        elif start == "one wrong byte":
            content = bytearray(scene.whole[path])
            content[100] ^= 1
            path.write_bytes(content)
        grow(path, 4 << 30)
    commands = [["list", "orders"], ["status", "orders"], ["repo", "check", "local"],
                ["repo", "list", "local"],
                ["restore", "orders", "--to", backstay.home / "never", "--dry-run"],
                ["restore", "orders", "--to", backstay.home / "never", "--dry-run", "--snapshot",
                 scene.newer]]
    for command in commands:
        result = backstay.attempt(*command, binary=limited(scene), timeout=60)
        assert result.status in (0, 1), result
        assert scene.newer in result.stdout + result.stderr, result
        assert "memory" not in result.stderr, result


def test_memory_of_wal_without_end(scene):
    backstay = scene.backstay
    segment = [path for path in backstay.objects("orders/wal") if len(path.name) == 24][-1]
    pristine = segment.read_bytes()
    other = scene.second / segment.relative_to(backstay.repository)
    try:
        grow(segment, 1 << 30)
        grow(other, 1 << 30)
        target = place.make_directory(backstay.home / "fetched") / "RECOVERYXLOG"
        result = backstay.attempt("wal", "fetch", "orders", segment.name, target, "--prefetch", "0",
                                  binary=limited(scene), timeout=60)
        assert result.status == 1 and segment.name in result.stderr, result
        assert "memory" not in result.stderr, result
    finally:
        for path in (segment, other):
            path.write_bytes(pristine)
