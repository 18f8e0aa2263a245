"""A restore takes WAL from whichever repository has it: so does its plan, and so do the windows of
`status`. And WAL that a recovery does not read may be damaged."""
import shutil
import subprocess

import pytest

import s3server

pytestmark = pytest.mark.once

ROWS = 4


def segment_of(lsn):
    high, low = (int(part, 16) for part in lsn.split("/"))
    return f"00000001{high:08X}{low >> 20:08X}"


class Scene:
    """A snapshot, and a segment for each row, in two repositories."""

    def __init__(self, shared):
        self.shared = shared
        self.server, self.backstay = shared.pair(name="both", wal_segsize_mb=1)
        self.stores = {"local": self.backstay.repository, "second": shared.path / "second"}
        self.saved = shared.path / "saved"
        self.backstay.edit_config("sources:", f"  second: {{ path: {self.stores['second']}, "
                                              f"key_file: {shared.path / 'second.key'} }}\nsources:")
        self.backstay.edit_config("to: [local]", "to: [local, second]")
        self.backstay.run("init")
        self.server.make_markers()
        self.server.archive_all()
        self.early = self.server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
        self.server.mark("before")
        self.server.archive_all()
        self.snapshot = self.backstay.backup()["snapshot"]
        self.rows = []
        for number in range(ROWS):
            self.rows.append(self.server.mark(f"row {number}"))
            self.server.archive_all()
        self.server.stop()
        self.saved.mkdir()
        for name, path in self.stores.items():
            subprocess.run(["cp", "-a", path, self.saved / name], check=True)

    def segment(self, repository, name):
        [found] = [path for path in (self.stores[repository] / "orders/wal").rglob(name)]
        return found

    def remove(self, repository, name):
        self.segment(repository, name).unlink()

    def damage(self, repository, name, at=80):
        path = self.segment(repository, name)
        content = bytearray(path.read_bytes())
        content[at] ^= 1
        path.chmod(0o600)
        path.write_bytes(content)

    def remove_directory(self, repository, directory):
        shutil.rmtree(self.stores[repository] / "orders" / directory)

    def plan(self, *options):
        return self.backstay.attempt("restore", "orders", "--to", self.shared.path / "never",
                                     "--dry-run", "--json", *options)

    def assert_restored(self, name, wanted, *options):
        restored = self.shared.restored(name)
        self.backstay.restore(restored.data, "--no-archive", *options)
        restored.start_restored()
        assert restored.markers() == ["before"] + [f"row {number}" for number in range(wanted)]
        restored.stop()


@pytest.fixture(scope="module")
def made(shared):
    return Scene(shared)


@pytest.fixture
def scene(made):
    yield made
    for name, path in made.stores.items():
        shutil.rmtree(path)
        subprocess.run(["cp", "-a", made.saved / name, path], check=True)


def at_row(scene, number):
    return "--at", f"xid:{scene.rows[number].xid}"


def row_segment(scene, number):
    return segment_of(scene.rows[number].lsn)


# --- several repositories -------------------------------------------------------------------------

def break_by_missing(scene):
    scene.remove("local", row_segment(scene, 1))
    scene.remove("second", row_segment(scene, 2))


def break_by_damage(scene):
    """The heads tell the plan what is where; what follows them is read by recovery alone."""
    scene.damage("local", row_segment(scene, ROWS - 1))
    scene.damage("second", row_segment(scene, 1))
    scene.damage("local", row_segment(scene, 2), at=-40)


def break_by_distance(scene):
    """The snapshot in one, the WAL in the other."""
    scene.remove_directory("local", "wal")
    scene.remove_directory("second", "snapshots")


@pytest.mark.parametrize("how", [break_by_missing, break_by_damage, break_by_distance])
def test_each_has_what_the_other_lacks(scene, how):
    how(scene)
    last = scene.rows[-1]
    for at in ("latest", f"xid:{last.xid}", f"lsn:{last.lsn}", "immediate", scene.snapshot):
        result = scene.plan("--at", at)
        assert result.status == 0 and result.json()["snapshot"] == scene.snapshot, result
    [window] = scene.backstay.status()["windows"]
    assert window["to"]["time"][:19] == last.commit_time[:19].replace(" ", "T"), (window, last.commit_time)
    # What is asked of one alone is judged by that one.
    assert scene.plan("--repository", "local").status in (1, 3)
    scene.assert_restored(how.__name__, ROWS, "--at", "latest")


def test_missing_or_damaged_in_both(scene):
    for name in ("local", "second"):
        scene.remove(name, row_segment(scene, 2))
    result = scene.plan("--at", "latest")
    assert result.status == 3 and row_segment(scene, 2) in result.stderr, result
    for name in ("local", "second"):
        scene.damage(name, row_segment(scene, 1))
    result = scene.plan(*at_row(scene, 1))
    assert result.status == 1 and row_segment(scene, 1) in result.stderr, result


# --- damage that matters, and damage that does not -------------------------------------------------

@pytest.mark.parametrize("where", ["behind the target", "before the snapshot"])
def test_damage_that_recovery_does_not_read(scene, where):
    """Neither in the same repository, nor whole in another one."""
    names = ([row_segment(scene, number) for number in range(1, ROWS)]
             if where == "behind the target" else [scene.early])
    for store in scene.stores:
        for name in names:
            scene.damage(store, name)
    scene.assert_restored(where.replace(" ", "-"), 1, *at_row(scene, 0))


def test_damage_that_recovery_reads(scene):
    for store in scene.stores:
        scene.damage(store, row_segment(scene, 1))
    for target in (at_row(scene, 2), at_row(scene, 1), ("--at", scene.rows[2].commit_time)):
        result = scene.plan(*target)
        assert result.status == 1 and row_segment(scene, 1) in result.stderr, result
    scene.backstay.fails(1, row_segment(scene, 1), "restore", "orders", "--to",
                         scene.shared.path / "never", *at_row(scene, 2))
    assert not (scene.shared.path / "never").exists()


def test_damage_on_a_timeline_that_is_not_followed(scene):
    other = scene.shared.restored("other")
    scene.backstay.restore(other.data, *at_row(scene, 1), "--archive")
    other.start_restored({"archive_mode": "on"})
    other.mark("elsewhere")
    other.archive_all()
    other.stop()
    damaged = []
    for store, path in scene.stores.items():
        for found in (path / "orders/wal").rglob("00000002????????????????"):
            scene.damage(store, found.name)
            damaged.append(found.name)
    assert damaged
    # On a line that cannot be searched it may be as well: nobody guesses.
    result = scene.plan(*at_row(scene, 2))
    assert result.status == 3 and "could not be searched" in result.stderr, result
    assert "--timeline 1" in result.stderr and "--timeline 2" in result.stderr, result
    scene.assert_restored("followed", 3, *at_row(scene, 2), "--timeline", "1")
    result = scene.plan("--at", "latest", "--timeline", "2")
    assert result.status == 1 and max(damaged) in result.stderr, result


# --- a bucket ---------------------------------------------------------------------------------------

def test_a_bucket_and_a_directory(scene, gateway):
    """What the directory lacks or has damaged comes from the bucket, and the other way round."""
    bucket = gateway.bucket()
    credentials = scene.shared.path / "far.credentials"
    s3server.write_credentials(credentials)
    before = scene.backstay.config.read_text()
    scene.backstay.edit_config("sources:", f"  far: {{ s3: {{ bucket: {bucket.name}, "
                                           f'endpoint: "{gateway.url}", credentials_file: '
                                           f"{credentials} }}, key_file: "
                                           f"{scene.shared.path / 'far.key'} }}\nsources:")
    scene.backstay.edit_config("to: [local, second]", "to: [local, far]")
    scene.backstay.run("init")
    scene.backstay.run("copy", "orders", "--from", "local", "--to", "far")
    scene.remove("local", row_segment(scene, 1))
    scene.damage("local", row_segment(scene, ROWS - 1))
    [key] = [key for key in bucket.keys() if key.endswith(row_segment(scene, 2))]
    content = bytearray(bucket.get(key))
    content[80] ^= 1
    bucket.put(key, bytes(content))
    for key in bucket.keys():
        if "/snapshots/" in key:
            bucket.delete(key)
    assert scene.plan("--at", "latest", "--repository", "local").status in (1, 3)
    assert scene.plan("--at", f"xid:{scene.rows[-1].xid}").status == 0
    scene.assert_restored("bucket", ROWS, "--at", "latest")
    scene.backstay.write_config(before)
