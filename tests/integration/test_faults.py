"""Every named fault point x {kill -9, EIO, ENOSPC}: the server is not left in backup mode, status
tells the truth, the next backup succeeds, the restore equals the source. Once with the repository in a directory, once in a bucket."""
import os
import shutil
import subprocess

import pytest

import compare
import conftest
import place
import s3server

BINARY = os.environ.get("BACKSTAY_FAULTS", str(place.ROOT / "build" / "faults" / "backstay"))

# Which operations may pass a point, most likely first, by the beginning of its name.
OPERATIONS = {
    "restore.": ["restore"], "wal.": ["push", "fetch"], "wal.push": ["push"],
    "wal.fetch": ["fetch"], "pg.archive.": ["push", "fetch"],
    "init.": ["init"], "repo.init": ["init"], "backup.": ["backup"], "copy.": ["copy"],
    "store.posix.read": ["backup", "restore", "fetch"],
    "store.s3.": ["backup", "restore", "push", "fetch"],
}
EVERY_OPERATION = ["backup", "restore", "push", "fetch", "init", "copy"]


def fault_points():
    """Asked of the program, so that a new point is a new test; without the program one test
    that fails."""
    if not os.path.isfile(BINARY):
        return ["(no binary)"]
    argv = place.as_owner([BINARY, "--list-faults"]) if place.CHROOT else [BINARY, "--list-faults"]
    listed = subprocess.run(argv, text=True, capture_output=True, check=False)
    return [line.split()[0] for line in listed.stdout.splitlines()] or ["(no fault points)"]


def operations_for(point):
    fitting = [prefix for prefix in OPERATIONS if point.startswith(prefix)]
    first = OPERATIONS[max(fitting, key=len)] if fitting else []
    return first + [name for name in EVERY_OPERATION if name not in first]


class Scene:
    """A cluster and its repository, which every test changes a little before it breaks it."""

    def __init__(self, shared, gateway=None):
        """In a bucket of `gateway`, or in a directory."""
        self.ws = shared
        self.gateway = gateway
        self.home = "offsite" if gateway else "local"  # the repository
        if gateway:
            self.server, self.backstay = shared.bucket_pair(gateway.bucket())
        else:
            self.server, self.backstay = shared.pair()
        self.server.script("CREATE TABLE t (id int)")
        self.server.settle()
        text = self.backstay.config.read_text(encoding="utf-8")
        self.text = text + text.split("sources:\n")[1].replace("orders", "spare")
        self.backstay.write_config(self.text)
        self.backstay.backup()
        self.number = 0
        self.segments = self.spare_segments()

    def spare_segments(self):
        """WAL segments for the source `spare`, whose archive no server feeds."""
        directory = self.ws.directory("spare")
        status = self.ws.directory("spare/archive_status")
        pattern = bytes(range(256)) * 4096
        wal = self.server.data / "pg_wal"
        original = next(path for path in sorted(wal.iterdir()) if len(path.name) == 24)
        content = original.read_bytes()  # the server may recycle the file at any time
        head, size = content[:8192 * 64], len(content)
        for number in range(1, 200):
            # Numbers of their own, in sparse files: their content past the head is of no interest.
            path = directory / f"00000001000000AA000000{number:02X}"
            address = (0xAA << 32) + number * size
            path.write_bytes(head[:8] + address.to_bytes(8, "little") + head[16:]
                             + pattern[:8192 * number % 65536])
            os.truncate(path, size)
            place.give_to_owner((status / f"{path.name}.done").touch() or status / f"{path.name}.done")
            yield place.give_to_owner(path)

    def change(self):
        self.number += 1
        self.server.script(f"INSERT INTO t SELECT generate_series(1, {self.number * 100})",
                           "VACUUM (FREEZE) t", "CHECKPOINT")

    def fresh(self, name):
        self.number += 1
        return self.ws.path / f"{name}-{self.number}"

    def prepare(self, operation):
        """(arguments of the command, configuration it uses, how to see that it can be repeated)"""
        return getattr(self, f"prepare_{operation}")()

    def prepare_backup(self):
        return self.backstay, ("backup", "orders"), lambda: None

    def prepare_restore(self):
        target = self.fresh("faulty")

        def repeat():
            self.backstay.restore(target, "--delta", "--at", self.backstay.complete()[-1])
            compare.assert_equal(self.server.data, target)
            shutil.rmtree(target)
        self.backstay.next_backup()
        return self.backstay, ("restore", "orders", "--to", target), repeat

    def prepare_push(self):
        path = next(self.segments)
        target = self.ws.path / "pushed"

        def repeat():
            self.backstay.run("wal", "push", "spare", path)
            self.backstay.run("wal", "fetch", "spare", path.name, target)
            assert target.read_bytes() == path.read_bytes()
            target.unlink()
        return self.backstay, ("wal", "push", "spare", path), repeat

    def prepare_fetch(self):
        path = next(self.segments)
        target = self.fresh("fetched")
        self.backstay.run("wal", "push", "spare", path)

        def repeat():
            assert not target.exists() or target.read_bytes() == path.read_bytes(), "half a segment"
            self.backstay.run("wal", "fetch", "spare", path.name, target)
            assert target.read_bytes() == path.read_bytes()
            target.unlink()
        return self.backstay, ("wal", "fetch", "spare", path.name, target), repeat

    def prepare_init(self):
        name = self.fresh("init").name
        text = (s3server.config_for(self.gateway.bucket(), self.ws.path, name, self.server)
                if self.gateway else None)
        other = self.ws.backstay(self.server, name=name, text=text)

        def repeat():
            other.run("init")
            path = next(self.segments)
            other.run("wal", "push", "orders", path)
            assert other.run("list").status == 0
        return other, ("init",), repeat

    def prepare_copy(self):
        other = self.fresh("copied")
        self.backstay.write_config(self.text.replace(
            "sources:\n", f"  other: {{ path: {other}, key_file: {other}.key }}\nsources:\n"))
        self.backstay.run("init")
        self.backstay.next_backup()
        self.server.archive_all()
        args = ("copy", "orders", "--from", self.home, "--to", "other")

        def repeat():
            self.server.archive_all()  # what asking for the backup mode has left, too
            result = self.backstay.attempt(*args, "--break-lease")
            assert result.status == 0, result
            self.backstay.run("repo", "check", self.home, "other", "--source", "orders")
            self.backstay.write_config(self.text)
            shutil.rmtree(other)
        return self.backstay, args, repeat

    def break_it(self, operation, fault):
        """Runs the operation with the fault; returns whether it came to it, and its repetition."""
        backstay, args, repeat = self.prepare(operation)
        before = set(self.backstay.complete())
        result = backstay.attempt("-q", *args, env={"BACKSTAY_FAULT": fault})
        if result.status == 0:
            repeat()
            return False
        if ":kill" not in fault:
            assert result.status == 1, result
            backstay.assert_one_line(result, "")
        if operation == "restore":
            self.assert_unfinished_never_starts(args[-1])
        self.assert_truth(before)
        repeat()
        return True

    def assert_unfinished_never_starts(self, target):
        """pg_control comes last: where it is, all the rest is."""
        if (target / "global" / "pg_control").exists():
            compare.assert_equal(self.server.data, target)

    def assert_truth(self, before):
        """The server is out of backup mode, and what is listed as complete can be restored."""
        self.server.assert_out_of_backup_mode()
        status, complete = self.backstay.status(), self.backstay.complete()
        assert before <= set(complete)
        assert status["last_snapshot"]["snapshot"] == complete[-1]
        if set(complete) - before:
            self.assert_restores(complete[-1])

    def assert_restores(self, snapshot):
        target = self.fresh("back")
        self.backstay.restore(target, "--at", snapshot)
        compare.assert_equal(self.server.data, target)
        shutil.rmtree(target)


@pytest.fixture(scope="module")
def binary():
    base = place.new_base_directory()
    yield place.staged_binary("BACKSTAY_FAULTS", BINARY, base)
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def scene(shared):
    return Scene(shared)


@pytest.fixture(scope="module")
def bucket_scene(binary, gateway):
    workspace = conftest.Workspace(binary)
    yield Scene(workspace, gateway)
    workspace.close(keep=False)


@pytest.mark.parametrize("point", [each for each in fault_points() if "s3" not in each])
def test_a_fault_point(scene, point):
    check_point(scene, point)


@pytest.mark.once
@pytest.mark.parametrize("point", [each for each in fault_points() if "posix" not in each])
def test_a_fault_point_with_a_bucket(bucket_scene, point):
    check_point(bucket_scene, point)


def check_point(scene, point):
    assert not point.startswith("("), f"{BINARY}: {point} (meson -Dfaults=true)"
    reached = None
    for operation in operations_for(point):
        scene.change()
        if scene.break_it(operation, f"{point}:kill"):
            reached = operation
            break
    assert reached is not None, f"no operation comes to {point}"
    for action in ("eio", "enospc"):
        scene.break_it(reached, f"{point}:{action}")
    if reached == "backup":
        for nth in (3, 8):
            scene.break_it(reached, f"{point}:kill:{nth}")
    snapshot = scene.backstay.next_backup()
    scene.assert_restores(snapshot["snapshot"])


def test_the_last_restore_starts(scene):
    """After all of that: recovery to latest works, and its trees are sound."""
    scene.server.archive_all()
    restored = scene.ws.restored("after-all")
    scene.backstay.restore(restored.data)
    restored.start_restored()
    restored.amcheck()
    assert restored.value("SELECT count(*) FROM t") == scene.server.value("SELECT count(*) FROM t")
