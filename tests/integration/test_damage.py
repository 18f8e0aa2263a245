"""The mutation table: any flipped byte, truncation, swap or removal of any object is noticed by
restore, with the object's name, and no wrong byte is left in a directory that says success."""
import os
import shutil

import pytest

import compare
import place
from pgserver import segment_name

pytestmark = pytest.mark.once


class Scene:
    """A repository with two snapshots, two sources and a second repository to take from; every
    test damages a copy."""

    def __init__(self, shared):
        self.ws = shared
        self.server, self.backstay = shared.pair()
        backstay, server = self.backstay, self.server
        backstay.write_config(backstay.default_config() + backstay.default_config().split(
            "sources:\n")[1].replace("orders", "other"))
        server.bench_init()
        server.settle()
        self.older = backstay.backup("--full")
        backstay.run("backup", "other", "--standalone")
        server.bench_start()
        server.bench_stop()
        server.settle()
        self.newer = backstay.backup("--full")
        server.archive_all()
        self.push_histories()
        self.elsewhere = shared.backstay(server, name="elsewhere")
        self.elsewhere.run("init")
        server.stop()
        self.pristine = shared.path / "pristine"
        shutil.copytree(backstay.repository, self.pristine, symlinks=True)
        self.pristine_elsewhere = shared.path / "pristine-elsewhere"
        shutil.copytree(self.elsewhere.repository, self.pristine_elsewhere, symlinks=True)
        self.again()

    def push_histories(self):
        directory = place.wal_directory_of(self.server, self.ws.path / "of-histories")
        for number in (2, 3):
            path = directory / f"0000000{number}.history"
            path.write_text("".join(f"{each}\t0/{each}0000000\tnone\n"
                                    for each in range(1, number)))
            place.give_to_owner(path)
            self.backstay.run("wal", "push", "other", path)

    def again(self):
        """The repository as it was before any damage."""
        for pristine, repository in ((self.pristine, self.backstay.repository),
                                     (self.pristine_elsewhere, self.elsewhere.repository)):
            shutil.rmtree(repository)
            shutil.copytree(pristine, repository, symlinks=True)
            for directory, _, names in os.walk(repository):
                for path in [directory, *(os.path.join(directory, name) for name in names)]:
                    place.give_to_owner(path)

    def find(self, kind):
        """(the object, another one of the same kind that an attacker could put in its place)"""
        objects, other = self.backstay.objects, self.elsewhere.objects
        if kind == "format":
            return (self.backstay.repository / "backstay.json",
                    self.elsewhere.repository / "backstay.json")
        if kind == "key slot":
            return objects("keys")[0], other("keys")[0]
        if kind == "source key":
            return objects("orders/key")[0], objects("other/key")[0]
        if kind == "pack":
            packs = sorted(objects("orders/packs"), key=lambda path: path.stat().st_mtime_ns)
            return packs[-1], packs[0]
        if kind == "snapshot":
            names = {path.name: path for path in objects("orders/snapshots")}
            return names[self.newer["snapshot"]], names[self.older["snapshot"]]
        if kind == "history":
            return [path for path in objects("other/wal") if path.name.endswith(".history")][:2]
        needed = segment_name(self.newer["start_lsn"])
        segments = [path for path in objects("orders/wal") if len(path.name) == 24]
        [mine] = [path for path in segments if path.name == needed]
        return mine, segments[segments.index(mine) - 1]


@pytest.fixture(scope="module")
def scene(shared):
    return Scene(shared)


@pytest.fixture
def whole(scene):
    yield scene
    scene.again()


def rewrite(path, data):
    """Puts other content at an object's name, as damage does; objects may be read-only."""
    mode = path.stat().st_mode
    path.unlink()
    path.write_bytes(data)
    path.chmod(mode)
    place.give_to_owner(path)


def flip(position):
    def mutate(path, _):
        data = bytearray(path.read_bytes())
        data[position(len(data))] ^= 0x01
        rewrite(path, bytes(data))
    return mutate


def cut(size_of):
    return lambda path, _: rewrite(path, path.read_bytes()[:size_of(path.stat().st_size)])


def swap(path, other):
    mine, others = path.read_bytes(), other.read_bytes()
    rewrite(path, others)
    rewrite(other, mine)


MUTATIONS = {
    "flip first": flip(lambda size: 0),
    "flip header": flip(lambda size: min(20, size // 4)),
    "flip early": flip(lambda size: size // 3),
    "flip middle": flip(lambda size: size // 2),
    "flip late": flip(lambda size: size - size // 8 - 1),
    "flip trailer": flip(lambda size: size - 10),
    "flip last": flip(lambda size: size - 1 if size > 400 else size - 2),
    "cut end": cut(lambda size: size - 2),
    "cut half": cut(lambda size: size // 2),
    "cut all": cut(lambda size: 0),
    "longer": lambda path, _: rewrite(path, path.read_bytes() + b"more"),
    "swapped": swap,
    "older in its place": lambda path, other: rewrite(path, other.read_bytes()),
    "removed": lambda path, _: path.unlink(),
}
KINDS = ["format", "key slot", "source key", "pack", "snapshot"]


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_restore_notices(whole, kind, mutation):
    path, other = whole.find(kind)
    name = whole.backstay.object_name(path)
    MUTATIONS[mutation](path, other)
    target = whole.ws.path / "never"
    result = whole.backstay.attempt("-q", "restore", "orders", "--to", target, "--at",
                                    whole.newer["snapshot"])
    try:
        assert result.status != 0, result
        whole.backstay.assert_one_line(result, "")
        assert name in result.stderr or len(path.name) > 8 and path.name in result.stderr, result
        assert not (target / "global" / "pg_control").exists(), "it would start"
    finally:
        shutil.rmtree(target, ignore_errors=True)


@pytest.mark.parametrize("mutation", [name for name in MUTATIONS if name != "removed"])
@pytest.mark.parametrize("kind", ["segment", "history"])
def test_fetch_notices(whole, kind, mutation):
    path, other = whole.find(kind)
    MUTATIONS[mutation](path, other)
    target = whole.ws.path / "out"
    source = "other" if kind == "history" else "orders"
    whole.backstay.fails(1, path.name, "wal", "fetch", source, path.name, target)
    assert not target.exists()


@pytest.mark.parametrize("mutation", ["flip middle", "cut half", "older in its place"])
def test_recovery_does_not_end_at_damaged_wal(whole, mutation):
    """A damaged segment in the middle of the archive is no end of the archive: restore --start
    fails with its name, and nothing was promoted."""
    path, other = whole.find("segment")
    MUTATIONS[mutation](path, other)
    restored = whole.ws.restored(f"bad-{mutation.split()[0]}")
    result = whole.backstay.attempt(
        "restore", "orders", "--to", restored.data, "--snapshot", whole.older["snapshot"],
        "--start", "--pg-port", restored.port)
    assert result.status != 0, result
    assert path.name in result.stderr, result
    assert restored.pid() is None, "a server runs on it"


def test_a_missing_segment_is_a_gap(whole):
    """Windows are computed from what is really in the archive: a target behind a gap is refused
    before anything is touched, and status names what is missing."""
    path, _ = whole.find("segment")
    path.unlink()
    status = whole.backstay.status()
    assert not status["ok"]
    assert any(path.name in problem for problem in status["problems"]), status
    target = whole.ws.path / "never"
    whole.backstay.fails(3, "window", "restore", "orders", "--to", target, "--snapshot",
                         whole.older["snapshot"], "--at", f"lsn:{whole.newer['stop_lsn']}")
    assert not target.exists()


def test_a_snapshot_is_independent_of_the_damaged_one(whole):
    """The other snapshot still comes back, and status and list still answer."""
    path, _ = whole.find("pack")
    MUTATIONS["flip middle"](path, None)
    target = whole.ws.path / "older"
    whole.backstay.restore(target, "--at", whole.older["snapshot"])
    assert (target / "global" / "pg_control").exists()
    assert len(whole.backstay.complete()) == 2
    shutil.rmtree(target)


def test_a_damaged_manifest_hurts_no_other_snapshot(whole):
    """The newest manifest is damaged: the older snapshot still comes back, WAL is archived, and
    status and list say what is wrong."""
    path, _ = whole.find("snapshot")
    MUTATIONS["flip header"](path, None)
    target = whole.ws.path / "older"
    result = whole.backstay.run("restore", "orders", "--to", target)
    assert path.name in result.stderr, result
    assert (target / "global" / "pg_control").exists()
    status = whole.backstay.status()
    assert any(path.name in problem for problem in status["problems"]), status
    assert whole.backstay.complete() == [whole.older["snapshot"]]
    segment = whole.find("segment")[0].name
    out = whole.ws.path / segment
    whole.backstay.run("wal", "fetch", "orders", segment, out)
    whole.backstay.run("wal", "push", "orders", out)
    shutil.rmtree(target)
    out.unlink()


def test_a_damaged_history_hurts_no_other_timeline(whole):
    """What does not need it works, and status says what is wrong."""
    path, _ = whole.find("history")
    MUTATIONS["flip middle"](path, None)
    assert whole.backstay.run("list", "other").status == 0
    status = whole.backstay.status("other")
    assert any(path.name in problem for problem in status["problems"]), status
    target = whole.ws.path / "without-history"
    result = whole.backstay.run("restore", "other", "--to", target)
    assert path.name in result.stderr, result
    assert (target / "global" / "pg_control").exists()
    shutil.rmtree(target)


def test_a_manifest_that_cannot_be_read_hurts_no_other_snapshot(whole):
    """An error of the storage on one of them is no outage of the repository."""
    path, _ = whole.find("snapshot")
    path.chmod(0)  # the program does not run as root
    target = whole.ws.path / "readable"
    result = whole.backstay.run("restore", "orders", "--to", target)
    assert path.name in result.stderr, result
    assert whole.backstay.complete() == [whole.older["snapshot"]]
    shutil.rmtree(target)


def test_a_stray_file_in_the_archive_hides_nothing(whole):
    """Such as a client of NFS leaves behind when an open file is deleted."""
    segment, _ = whole.find("segment")
    stray = segment.parent / ".nfs000123"
    stray.write_bytes(b"x")
    place.give_to_owner(stray)
    assert whole.backstay.status("orders")["windows"]


def test_delta_repairs_what_a_failed_restore_left(whole):
    """After the damage is gone the same directory is finished with --delta."""
    path, other = whole.find("pack")
    target = whole.ws.path / "unfinished"
    MUTATIONS["flip middle"](path, other)
    result = whole.backstay.attempt("restore", "orders", "--to", target, "--at",
                                    whole.newer["snapshot"])
    assert result.status == 1, result
    whole.again()
    whole.backstay.restore(target, "--delta", "--at", whole.newer["snapshot"])
    compare.assert_equal(whole.server.data, target)
    shutil.rmtree(target)
