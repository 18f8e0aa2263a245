"""How many requests a bucket is asked, counted before the real gateway, and that what is saved by the
local cache is never saved where a fresh look would have refused."""
import collections
import hashlib
import json
import os
import re
import shutil

import pytest

import place
import s3server
from faultyproxy import FaultyProxy

pytestmark = pytest.mark.once

POOL = 120


class Requests(collections.Counter):
    """By the kinds that a bill has: LIST costs as much as PUT."""

    @property
    def others(self):
        return sum(self.values()) - self["PUT"]


class Bucket:
    """A bucket behind a proxy that counts, and a configuration for it."""

    def __init__(self, ws, bucket, server, name, more=""):
        self.bucket = bucket
        self.proxy = FaultyProxy(bucket.server.port)
        text = s3server.config_for(bucket, ws.path, name, server, more)
        self.backstay = ws.backstay(server, name=name, text=text)
        self.backstay.edit_config(bucket.server.url, f"http://127.0.0.1:{self.proxy.port}")
        self.backstay.extra_env = {"BACKSTAY_CACHE": str(ws.path / f"{name}.cache")}
        self.cache = ws.path / f"{name}.cache"
        self.state = ws.path / f"{name}.state"
        text = self.backstay.config.read_text(encoding="utf-8")
        self.backstay.write_config(f"state_dir: {self.state}\n{text}")
        self.backstay.run("init")
        self.directory = place.make_directory(ws.path / f"{name}.wal")
        place.make_directory(self.directory / "archive_status")

    def count(self):
        """What was asked since the last call."""
        seen, self.proxy.seen = self.proxy.seen, []
        kinds = Requests()
        for method, path in seen:
            is_list = method == "GET" and re.search(r"[?&](list-type|versions|uploads)=", path)
            kinds["LIST" if is_list else method] += 1
        self.seen = seen
        return kinds

    def counted(self, *args, env=None):
        self.count()
        self.backstay.run(*args, env=env)
        return self.count()

    def place_segments(self, pool, names):
        for name in names:
            shutil.copy(pool / name, self.directory / name)
            place.give_to_owner(self.directory / name)
            (self.directory / "archive_status" / f"{name}.ready").touch()

    def push(self, name, env=None):
        """As the server does: what is archived is marked, and not ready any more."""
        kinds = self.counted("wal", "push", "orders", self.directory / name, env=env)
        ready = self.directory / "archive_status" / f"{name}.ready"
        ready.rename(ready.with_suffix(".done"))
        return kinds

    def fails_to_push(self, pattern, name):
        self.count()
        self.backstay.fails(1, pattern, "wal", "push", "orders", self.directory / name)
        return self.count()

    def holds(self, pool, name):
        """The archive gives back what the server wrote."""
        target = self.directory / "back"
        self.backstay.run("wal", "fetch", "orders", name, target, "--prefetch", "0")
        assert target.read_bytes() == (pool / name).read_bytes()
        target.unlink()


@pytest.fixture(scope="module")
def server(shared):
    """A server with many complete segments, which it believes to be archived."""
    server = shared.server()
    server.init(settings={"archive_command": "/bin/true", "max_wal_size": "1GB",
                          "wal_keep_size": "1GB"}, wal_segsize_mb=1)
    server.start()
    server.script("CREATE TABLE t (id int)")
    return server


@pytest.fixture(scope="module")
def pool(shared, server):
    pool = place.make_directory(shared.path / "pool")
    with server.session() as cursor:
        for _ in range(POOL):
            cursor.execute("INSERT INTO t VALUES (1)")
            cursor.execute("SELECT pg_walfile_name(pg_switch_wal())")
            name = cursor.fetchone()[0]
            shutil.copy(server.data / "pg_wal" / name, pool / name)
    return pool


@pytest.fixture(scope="module")
def segments(pool):
    return sorted(path.name for path in pool.iterdir())


@pytest.fixture
def bucket(request, shared, gateway, server):
    """One with a snapshot, so that its cluster is known."""
    made = Bucket(shared, gateway.bucket(), server, re.sub(r"\W", "-", request.node.name))
    made.backstay.run("backup", "orders", "--standalone")
    yield made
    made.proxy.close()


@pytest.fixture
def warm(bucket, pool, segments):
    """The same with a segment in its archive."""
    bucket.place_segments(pool, segments[:1])
    bucket.push(segments[0])
    return bucket


def test_a_push_is_one_put_and_one_question(warm, pool, segments):
    for name in segments[1:4]:
        warm.place_segments(pool, [name])
        assert warm.push(name) == {"PUT": 1, "GET": 1}, warm.seen
    for name in segments[:4]:
        warm.holds(pool, name)


def test_pushes_of_many_segments(warm, pool, segments):
    """A call archives what is ready along with the file that it was called for. The calls for those
    ask for them alone."""
    wanted = segments[1:102]
    warm.place_segments(pool, wanted)
    total = Requests()
    for name in wanted:
        total += warm.push(name)
    assert total["PUT"] == 101 and total["LIST"] == 0, total
    assert total.others <= 101, total
    for name in wanted[::10] + wanted[-1:]:
        warm.holds(pool, name)


def make_old(path, seconds):
    """What is kept says that it was read so much earlier."""
    content = bytearray(path.read_bytes()[32:])
    value, size = 0, 0
    while True:
        byte = content[1 + size]
        value |= (byte & 0x7f) << 7 * size
        size += 1
        if not byte & 0x80:
            break
    value -= 2 * seconds * 1000000  # zigzag
    for i in range(size):
        content[1 + i] = (value >> 7 * i & 0x7f) | (0x80 if i + 1 < size else 0)
    path.write_bytes(hashlib.sha256(content).digest() + content)


@pytest.mark.parametrize("how", ["deleted", "old", "future", "cut", "garbage", "forged", "foreign",
                                 "a file", "read-only"])
def test_a_push_without_a_usable_cache(warm, pool, segments, how):
    """It costs more, is documented, and works; the next one is cheap again where that is possible."""
    kept, = (warm.cache / "opened").iterdir()
    content = kept.read_bytes()
    if how == "deleted":
        shutil.rmtree(warm.cache)
    elif how == "old":
        make_old(kept, 3601)
    elif how == "future":
        make_old(kept, -60)
    elif how == "cut":
        kept.write_bytes(content[:-7])
    elif how == "garbage":
        kept.write_bytes(os.urandom(len(content)))
    elif how == "forged":  # whole, but the last bytes are of no key
        forged = content[32:-16] + bytes(16)
        kept.write_bytes(hashlib.sha256(forged).digest() + forged)
    elif how == "foreign":
        os.chown(kept.parent, 0, 0)
        kept.parent.chmod(0o755)
    elif how == "a file":
        shutil.rmtree(warm.cache)
        place.give_to_owner(warm.cache.touch() or warm.cache)
    elif how == "read-only":
        shutil.rmtree(warm.cache)
        warm.cache.mkdir(mode=0o555)
    warm.place_segments(pool, segments[1:3])
    kinds = warm.push(segments[1])
    assert kinds["PUT"] <= 2 and kinds["LIST"] <= 3 and kinds["GET"] <= 9, (kinds, warm.seen)
    kinds = warm.push(segments[2])
    if how not in ("foreign", "a file", "read-only"):
        assert kinds == {"GET": 1}, (kinds, warm.seen)
    for name in segments[1:3]:
        warm.holds(pool, name)


def test_what_a_cold_push_costs(warm, pool, segments):
    shutil.rmtree(warm.cache)
    warm.place_segments(pool, segments[1:2])
    kinds = warm.push(segments[1])
    assert kinds["PUT"] == 1 and kinds["LIST"] == 2 and kinds["GET"] <= 5, (kinds, warm.seen)


def test_before_the_first_snapshot_each_push_looks_for_one(shared, gateway, server, pool, segments):
    made = Bucket(shared, gateway.bucket(), server, "no-snapshot")
    made.place_segments(pool, segments[:1])
    made.push(segments[0])
    made.place_segments(pool, segments[1:2])
    assert made.push(segments[1]) == {"PUT": 1, "GET": 1, "LIST": 2}, made.seen


def test_a_bucket_that_keeps_versions(shared, gateway, server, pool, segments):
    """This gateway ignores the condition there: that the put was the first is asked afterwards, and
    so is which version of the key was."""
    made = Bucket(shared, gateway.bucket(versions=True), server, "versions")
    made.backstay.run("backup", "orders", "--standalone")
    made.place_segments(pool, segments[:1])
    made.push(segments[0])
    made.place_segments(pool, segments[1:2])
    assert made.push(segments[1]) == {"PUT": 1, "GET": 1, "LIST": 2}, made.seen
    made.place_segments(pool, segments[1:2])
    shutil.rmtree(made.cache)
    made.push(segments[1])
    key, = [each for each in made.bucket.keys("orders/wal/") if segments[1] in each]
    assert len(made.bucket.versions(key)) == 1
    made.holds(pool, segments[1])


def test_versions_that_are_switched_on_within_the_hour(shared, gateway, server, pool, segments):
    """That there are none was kept: the answer to the first put says otherwise."""
    made = Bucket(shared, gateway.bucket(), server, "versions-later")
    made.backstay.run("backup", "orders", "--standalone")
    made.bucket.client.put_bucket_versioning(Bucket=made.bucket.name,
                                             VersioningConfiguration={"Status": "Enabled"})
    made.count()
    made.backstay.run("backup", "orders", "--standalone")
    made.count()
    assert not any("versioning=" in path for _, path in made.seen), made.seen
    assert any("versions=" in path for _, path in made.seen), made.seen
    made.place_segments(pool, segments[:1])
    made.push(segments[0])
    made.place_segments(pool, segments[:1])
    shutil.rmtree(made.cache)
    made.push(segments[0])
    key, = [each for each in made.bucket.keys("orders/wal/") if segments[0] in each]
    assert len(made.bucket.versions(key)) == 1
    made.holds(pool, segments[0])


def test_what_was_pushed_ahead_is_found_without_the_note(warm, pool, segments):
    warm.place_segments(pool, segments[1:4])
    warm.push(segments[1])
    shutil.rmtree(warm.cache)
    for name in segments[2:4]:
        warm.push(name)
        warm.holds(pool, name)


def test_what_was_pushed_ahead_and_removed_is_pushed_again(warm, pool, segments):
    warm.place_segments(pool, segments[1:3])
    warm.push(segments[1])
    key, = [each for each in warm.bucket.keys("orders/wal/") if segments[2] in each]
    warm.bucket.delete(key)
    assert warm.push(segments[2]) == {"PUT": 1, "GET": 2}
    warm.holds(pool, segments[2])


def test_other_content_under_a_name_is_refused(warm, pool, segments):
    """With the note and without it; and what is in the archive stays."""
    warm.place_segments(pool, segments[1:3])
    warm.push(segments[1])
    for name in segments[2:3] + segments[:1]:
        shutil.copy(pool / name, warm.directory / name)
        with open(warm.directory / name, "r+b") as segment:
            segment.seek(1 << 16)
            segment.write(b"\1" * 8192)
        place.give_to_owner(warm.directory / name)
        warm.fails_to_push("different content", name)
        warm.holds(pool, name)


def test_wal_of_another_cluster_is_refused_by_the_cache_and_without_it(shared, warm, pool, segments):
    other = shared.server("other")
    if not other.data.exists():
        other.init(settings={"archive_command": "/bin/true"}, wal_segsize_mb=1)
    other.start()
    name = other.value("SELECT pg_walfile_name(pg_switch_wal())")
    for _ in range(2):
        shutil.copy(other.data / "pg_wal" / name, warm.directory / name)
        place.give_to_owner(warm.directory / name)
        (warm.directory / "archive_status" / f"{name}.ready").touch()
        kinds = warm.fails_to_push("is another cluster", name)
        assert kinds["PUT"] == 0, warm.seen
        assert kinds["LIST"] >= 1, "the repository is asked before anything is refused"
        shutil.rmtree(warm.cache)
    other.stop()


def empty(bucket, prefix=""):
    for key in bucket.keys(prefix):
        bucket.delete(key)


def test_a_repository_that_was_made_anew_in_the_same_place(warm, pool, segments):
    """Is noticed by the first push, as without a cache; and when the host has forgotten, the segment
    is sealed with the new key."""
    empty(warm.bucket)
    warm.backstay.run("init")
    warm.place_segments(pool, segments[1:3])
    kinds = warm.fails_to_push("is not the one in this place", segments[1])
    assert kinds["PUT"] == 0
    shutil.rmtree(warm.state)
    warm.push(segments[1])
    warm.push(segments[2])
    warm.holds(pool, segments[2])


def test_a_source_that_was_removed(warm, pool, segments):
    empty(warm.bucket, "orders/")
    warm.place_segments(pool, segments[1:2])
    kinds = warm.fails_to_push("holds nothing of \"orders\" any more", segments[1])
    assert kinds["PUT"] == 0 and not warm.bucket.keys("orders/")


def test_a_source_that_was_made_anew_by_another_host(warm, pool, segments):
    """Under the same repository key: the new key of the source is used."""
    empty(warm.bucket, "orders/")
    kept = {path: path.read_bytes() for path in warm.cache.rglob("*") if path.is_file()}
    env = {"BACKSTAY_CACHE": f"{warm.cache}.2"}
    warm.backstay.run("backup", "orders", "--standalone", "--new", env=env)
    for path, content in kept.items():
        path.write_bytes(content)
    warm.place_segments(pool, segments[1:2])
    warm.push(segments[1])
    warm.holds(pool, segments[1])


def test_a_key_that_is_gone(warm, pool, segments):
    """What would be put under it could not be read any more."""
    warm.bucket.delete("orders/key/00000001")
    warm.place_segments(pool, segments[1:2])
    kinds = warm.fails_to_push("key/00000001\" is missing", segments[1])
    assert kinds["PUT"] == 0


def test_a_cache_that_was_set_back(warm, pool, segments):
    """As by a snapshot of a virtual machine."""
    old = warm.cache.parent / f"{warm.cache.name}.old"
    shutil.copytree(warm.cache, old)
    warm.place_segments(pool, segments[1:4])
    warm.push(segments[1])
    shutil.rmtree(warm.cache)
    shutil.copytree(old, warm.cache)
    for path in [warm.cache, *warm.cache.rglob("*")]:
        place.give_to_owner(path)
    for name in segments[2:4]:
        warm.push(name)
        warm.holds(pool, name)


def test_two_hosts(warm, pool, segments):
    """Each has its own cache; both push the same, as after a failover."""
    second = {"BACKSTAY_CACHE": f"{warm.cache}.second"}
    warm.place_segments(pool, segments[1:2])
    warm.push(segments[1])
    for _ in range(2):
        warm.place_segments(pool, segments[1:2])
        warm.push(segments[1], env=second)
    warm.place_segments(pool, segments[2:3])
    assert warm.push(segments[2], env=second) == {"PUT": 1, "GET": 1}
    warm.place_segments(pool, segments[2:3])
    assert warm.push(segments[2]) == {"PUT": 1, "GET": 2}, "refused, and compared"
    warm.holds(pool, segments[2])


def test_the_cache_is_worth_nothing_without_the_key_file(warm):
    line = [line for line in warm.backstay.key_file.read_text(encoding="utf-8").splitlines()
            if line.startswith("backstay-key-1")][0]
    key = line.split()[2]
    for path in warm.cache.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert key.encode() not in content and bytes.fromhex(key) not in content
        assert path.is_dir() or path.stat().st_mode & 0o077 == 0


@pytest.fixture(scope="module")
def backed_up(shared, gateway):
    """A server that archives past the proxy, so that what is counted is the backup's own."""
    server = shared.server("counted")
    counted = Bucket(shared, gateway.bucket(), server, "counted")
    pushing = shared.backstay(server, name="pushing", text=counted.backstay.config.read_text(
        encoding="utf-8").replace(f"http://127.0.0.1:{counted.proxy.port}", gateway.url))
    server.init(settings={"archive_command": pushing.archive_command()}, wal_segsize_mb=1)
    server.start()
    server.script("CREATE TABLE t (id int)")
    for _ in range(3):
        counted.backstay.backup()
        server.archive_all()
    yield counted
    counted.proxy.close()


def test_an_unchanged_increment(backed_up):
    """Of the source's key, the lease twice, the snapshots, the decisions, the packs, the WAL where
    the parent began and the WAL of its own."""
    deletions = 0  # of old leases: see below
    for _ in range(3):
        backed_up.count()
        report = backed_up.backstay.backup()
        kinds = backed_up.count()
        deletions += kinds["POST"]
        assert report["mode"] == "incremental", report
        assert kinds["PUT"] <= 4 and kinds["LIST"] <= 4, (kinds, backed_up.seen)
        assert kinds.others - kinds["POST"] <= 8, (kinds, backed_up.seen)
        backed_up.backstay.server.archive_all()
    assert deletions <= 1


def test_an_increment_reports_what_it_asked(backed_up):
    """With what comes last, giving up the lease and deleting what it left."""
    backed_up.count()
    report = backed_up.backstay.backup()["requests"]
    kinds = backed_up.count()
    assert report["put"] == kinds["PUT"] and report["list"] == kinds["LIST"]
    assert report["get"] == kinds["GET"]
    assert report["post"] + report["delete"] == kinds["POST"] + kinds["DELETE"]
    backed_up.backstay.server.archive_all()


def test_what_an_increment_costs_without_a_cache(backed_up):
    """What opens the repository, and the beginning of each manifest."""
    backed_up.backstay.backup()
    backed_up.backstay.server.archive_all()
    shutil.rmtree(backed_up.cache)
    backed_up.count()
    report = backed_up.backstay.backup()
    kinds = backed_up.count()
    assert report["mode"] == "incremental", report
    assert kinds["PUT"] <= 4, (kinds, backed_up.seen)
    heads = len(backed_up.bucket.keys("orders/snapshots/")) - 1
    assert kinds.others - kinds["POST"] <= 16 + heads, (kinds, backed_up.seen)
    backed_up.backstay.server.archive_all()


def manifest_note(backed_up, snapshot):
    """The file of the cache that is the manifest of the newest snapshot."""
    content = backed_up.bucket.get(f"orders/snapshots/{snapshot}")
    note, = [path for path in backed_up.cache.rglob("note-*")
             if path.read_bytes()[32:] == content]
    return note


@pytest.mark.parametrize("how", ["cut", "garbage", "forged", "that of another"])
def test_a_kept_manifest_that_is_not_the_newest(backed_up, how):
    """Is asked for, and the increment is one."""
    snapshot = backed_up.backstay.backup()["snapshot"]
    backed_up.backstay.server.archive_all()
    note = manifest_note(backed_up, snapshot)
    content = note.read_bytes()[32:]
    if how == "cut":
        content = content[:-7]
    elif how == "garbage":
        content = os.urandom(len(content))
    elif how == "forged":
        middle = len(content) // 2
        content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1:]
    else:
        content = backed_up.bucket.get(
            next(key for key in backed_up.bucket.keys("orders/snapshots/") if snapshot not in key))
    note.write_bytes(hashlib.sha256(content).digest() + content)
    backed_up.count()
    report = backed_up.backstay.backup()
    backed_up.count()
    assert report["mode"] == "incremental", report
    assert any(method == "GET" and "/orders/snapshots/" in path for method, path in backed_up.seen)
    backed_up.backstay.server.archive_all()


def test_a_kept_manifest_of_a_snapshot_that_was_removed(backed_up):
    """Is not built upon: the listing does not show it."""
    snapshot = backed_up.backstay.backup()["snapshot"]
    backed_up.backstay.server.archive_all()
    backed_up.bucket.delete(f"orders/snapshots/{snapshot}")
    result = backed_up.backstay.attempt("backup", "orders", "--json")
    assert result.status == 1 and "somebody has removed it" in result.stderr, result
    report = json.loads(result.stdout)
    assert report["parent"] and report["parent"] != snapshot, report
    backed_up.backstay.server.archive_all()


def test_a_lease_that_another_host_took_meanwhile(backed_up):
    """What this host gave up last is not the newest any more: the lease is asked for."""
    backed_up.backstay.backup("--standalone")
    second = {"BACKSTAY_CACHE": f"{backed_up.cache}.second"}
    for _ in range(2):
        backed_up.backstay.run("backup", "orders", "--standalone", env=second)
    for _ in range(2):
        backed_up.backstay.backup("--standalone")
    assert len(backed_up.bucket.keys("orders/lease/")) < 16 + 2


def test_old_leases_are_deleted_many_at_once(backed_up):
    """A backup leaves two; that request comes with one of eight backups."""
    posts = []
    newest = int(max(backed_up.bucket.keys("orders/lease/"))[-16:], 16)
    for number in range(12):
        backed_up.bucket.put(f"orders/lease/{newest + 1 + number:016x}", b"")
    before = len(backed_up.bucket.keys("orders/lease/"))
    for options in [["--break-lease"], []]:  # since the last of them is not readable
        backed_up.count()
        backed_up.backstay.backup("--standalone", *options)
        posts.append(backed_up.count()["POST"])
    assert posts == [1, 0]
    assert len(backed_up.bucket.keys("orders/lease/")) <= before - 16 + 4
