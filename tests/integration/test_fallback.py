"""A snapshot that turns out to be damaged, or unreadable, only when it is loaded: a restore takes
the one before it, with more WAL, and says so; and it touches nothing before that is settled."""
import shutil

import pytest

import place
import s3server
from faultyproxy import FaultyProxy

pytestmark = pytest.mark.once

DAMAGES = ["middle", "tail", "no pack", "short pack", "closed manifest", "closed pack"]


class Directories:
    """The objects of both repositories."""

    def __init__(self, shared):
        self.server, self.backstay = shared.pair(wal_segsize_mb=1)
        self.second = shared.path / "second"
        self.backstay.edit_config("sources:", f"  second: {{ path: {self.second}, key_file: "
                                              f"{self.second}.key }}\nsources:")
        self.backstay.edit_config("to: [local]", "to: [local, second]")
        self.backstay.run("init")
        self.tops = [self.backstay.repository, self.second]
        self.kept = {}

    def keys(self, prefix):
        return {path.relative_to(self.tops[0]).as_posix() for path in self.backstay.objects(prefix)}

    def change(self, key, change, tops=None):
        for top in tops or self.tops:
            path = top / key
            self.kept.setdefault(path, path.read_bytes())
            content = change(self.kept[path])
            path.unlink()
            if content is not None:
                path.write_bytes(content)
                path.chmod(0o600)
                place.give_to_owner(path)

    def shut(self, key):
        for top in self.tops:
            self.kept.setdefault(top / key, (top / key).read_bytes())
            (top / key).chmod(0)

    def mend(self):
        for path, content in self.kept.items():
            path.unlink(missing_ok=True)
            path.write_bytes(content)
            path.chmod(0o600)
            place.give_to_owner(path)
        self.kept.clear()


class Bucket:
    """The objects of a bucket, behind a proxy that can refuse them."""

    def __init__(self, shared, gateway):
        self.bucket = gateway.bucket()
        self.proxy = FaultyProxy(gateway.port)
        self.server, self.backstay = shared.bucket_pair(self.bucket, name="cloud",
                                                        wal_segsize_mb=1)
        self.backstay.edit_config(gateway.url, f"http://127.0.0.1:{self.proxy.port}")
        self.kept = {}

    def keys(self, prefix):
        return set(self.bucket.keys(prefix))

    def change(self, key, change):
        self.kept.setdefault(key, self.bucket.get(key))
        content = change(self.kept[key])
        if content is None:
            self.bucket.delete(key)
        else:
            self.bucket.put(key, content)

    def shut(self, key):
        body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        self.proxy.change = lambda method, path, head, _: (
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%b" % (
                0 if method == "HEAD" else len(body), b"" if method == "HEAD" else body)
            if key in path else None)

    def mend(self):
        self.proxy.change = None
        for key, content in self.kept.items():
            self.bucket.put(key, content)
        self.kept.clear()


class Scene:
    """Two snapshots that share nothing, and the WAL from the older one on."""

    def __init__(self, objects):
        self.objects = objects
        server, self.backstay = objects.server, objects.backstay
        server.make_markers()
        server.mark("first")
        self.older = self.backstay.backup("--full")["snapshot"]
        packs = objects.keys("orders/packs")
        self.between = server.mark("between")
        self.newer = self.backstay.backup("--full")["snapshot"]
        self.pack = max(objects.keys("orders/packs") - packs)
        self.after = server.mark("after")
        server.mark("last")
        server.archive_all()
        self.markers = server.markers()
        server.stop()

    def manifest(self, snapshot):
        return f"orders/snapshots/{snapshot}"

    def flip(self, snapshot, place_of_it, **where):
        def flipped(content):
            index = len(content) // 2 if place_of_it == "middle" else len(content) - 20
            return content[:index] + bytes([content[index] ^ 1]) + content[index + 1:]
        self.objects.change(self.manifest(snapshot), flipped, **where)

    def damage(self, damage):
        if damage in ("middle", "tail"):
            self.flip(self.newer, damage)
        elif damage == "no pack":
            self.objects.change(self.pack, lambda content: None)
        elif damage == "short pack":
            self.objects.change(self.pack, lambda content: content[:-8])
        else:
            self.objects.shut(self.pack if damage == "closed pack" else self.manifest(self.newer))

    def plan(self, *options):
        return self.backstay.attempt("restore", "orders", "--to", self.backstay.home / "never",
                                     "--dry-run", "--json", *options)


@pytest.fixture(scope="module")
def directories(shared):
    return Scene(Directories(shared))


@pytest.fixture(scope="module")
def bucket(shared, gateway):
    return Scene(Bucket(shared, gateway))


@pytest.fixture(scope="module", params=["directories", "bucket"])
def scene(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(autouse=True)
def mended(request):
    yield
    for name in {"directories", "bucket", "scene"} & set(request.fixturenames):
        request.getfixturevalue(name).objects.mend()


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_snapshot_before_serves(scene, damage):
    """To every kind of target, and it is said which one is left out, why, and which one serves."""
    scene.damage(damage)
    for at in ("latest", "immediate", scene.after.time, f"xid:{scene.after.xid}",
               f"lsn:{scene.after.lsn}"):
        result = scene.plan("--at", at)
        assert result.status == 0 and result.json()["snapshot"] == scene.older, result
        assert f"recovery begins at snapshot {scene.older}" in result.stderr, result
        assert scene.newer in result.stderr, result


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_that_is_asked_for_has_no_substitute(scene, damage):
    scene.damage(damage)
    for option in ("--at", "--snapshot"):
        scene.backstay.fails(1, f"{scene.newer}.*requested", "restore", "orders", "--to",
                             scene.backstay.home / "never", option, scene.newer)
    assert not (scene.backstay.home / "never").exists()


def test_without_one_before_the_damage_is_told(scene):
    """Not only that no snapshot leads there."""
    scene.flip(scene.older, "middle")
    scene.backstay.fails(1, f"{scene.older}.*cannot be reached", "restore", "orders", "--to",
                         scene.backstay.home / "never", "--at", f"lsn:{scene.between.lsn}")
    scene.flip(scene.newer, "middle")
    for at in ("latest", f"xid:{scene.after.xid}"):
        scene.backstay.fails(1, scene.newer, "restore", "orders", "--to",
                             scene.backstay.home / "never", "--at", at)


def test_the_manifest_is_loaded_once(bucket):
    """The checks of --start, and the restore, use what the plan has loaded."""
    scene = bucket
    scene.backstay.run("list", "orders")  # heads are remembered
    seen = scene.objects.proxy.seen
    seen.clear()
    scene.backstay.run("restore", "orders", "--to", scene.backstay.home / "started", "--start",
                       "--no-archive", "--action", "shutdown", "--at", "immediate")
    reads = [path for method, path in seen if method == "GET" and scene.newer in path]
    assert len(reads) == 1, reads
    shutil.rmtree(scene.backstay.home / "started")


# --- what is done to the destination ------------------------------------------------------------


def tree(top):
    """Every file with what would change when somebody touched it."""
    return {path: (path.lstat().st_ino, path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
            for path in [top, *top.rglob("*")]}


@pytest.fixture(scope="module")
def there(shared, scene):
    """A directory that was restored before."""
    restored = shared.restored(f"there-{scene.backstay.name}")
    scene.backstay.restore(restored.data, "--at", scene.older, "--no-archive")
    return restored


@pytest.mark.parametrize("how", ["--delta", "--replace"])
def test_nothing_is_touched_before_a_manifest_is_whole(scene, there, how):
    scene.flip(scene.newer, "middle")
    scene.flip(scene.older, "tail")
    before, beside = tree(there.data), set(there.home.iterdir())
    for options in ([], ["--at", scene.newer], ["--dry-run"]):
        assert scene.backstay.attempt("restore", "orders", "--to", there.data, how, "--no-archive",
                                      *options).status == 1
    assert tree(there.data) == before and set(there.home.iterdir()) == beside


@pytest.mark.parametrize("how", ["fresh", "--delta", "--replace"])
def test_what_is_restored_is_whole(scene, there, shared, how):
    scene.flip(scene.newer, "middle")
    restored = there if how != "fresh" else shared.restored(f"new-{scene.backstay.name}")
    report = scene.backstay.restore(restored.data, "--no-archive",
                                    *([] if how == "fresh" else [how]))
    assert report["snapshot"] == scene.older
    restored.start_restored()
    assert restored.markers() == scene.markers
    restored.stop()


# --- several repositories -----------------------------------------------------------------------


def test_another_repository_that_has_it_whole_comes_first(directories):
    scene = directories
    for top in scene.objects.tops:
        scene.flip(scene.newer, "middle", tops=[top])
        for at in ("latest", "immediate", scene.after.time, scene.newer):
            result = scene.plan("--at", at)
            assert result.status == 0 and result.json()["snapshot"] == scene.newer, result
        assert scene.plan("--repository", "local" if top == scene.objects.tops[0] else
                          "second").json()["snapshot"] == scene.older
        scene.objects.mend()
    # The manifest from one, the pack from the other.
    scene.flip(scene.newer, "middle", tops=scene.objects.tops[:1])
    scene.objects.change(scene.pack, lambda content: None, tops=scene.objects.tops[1:])
    assert scene.plan().json()["snapshot"] == scene.newer
    report = scene.backstay.restore(scene.backstay.home / "both", "--no-archive")
    assert report["snapshot"] == scene.newer
