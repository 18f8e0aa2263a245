"""Where repositories and directories that were moved aside lie, and whose they are."""
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

import place
from pgserver import wait_for

needs_root = pytest.mark.skipif(not place.IS_ROOT or bool(place.CHROOT),
                                reason="acts as root and as another user")


@pytest.fixture(scope="module")
def pair(shared):
    server, backstay = shared.pair(wal_segsize_mb=1)
    server.make_markers()
    server.mark("one")
    backstay.backup()
    server.mark("two")
    server.archive_all()
    return server, backstay


@pytest.mark.once
def test_init_inside_or_around_a_repository_is_refused(shared, pair):
    """However deep, and through links."""
    _, backstay = pair
    link = shared.path / "link"
    link.symlink_to(backstay.repository)
    deep = shared.directory("deep")
    for part in ("a", "b", "c"):
        deep = place.make_directory(deep / part)
    deep.rmdir()
    deep.symlink_to(backstay.repository)  # passed by: it lies elsewhere
    cases = [(backstay.repository / "more" / "deep", "is inside the repository in"),
             (link / "new", "is inside the repository in"),
             (backstay.home, "contains another repository"),
             (backstay.home.parent, "contains another repository")]
    for path, pattern in cases:
        other = shared.backstay(name="other")
        other.edit_config(str(other.repository), str(path))
        other.fails(1, pattern, "init")
        assert not other.key_file.exists()
        assert not (path / "backstay.json").exists()
    other = shared.backstay(name="apart")
    other.edit_config(str(other.repository), str(shared.path / "deep"))
    other.run("init")
    backstay.run("init")  # one that is there stays what it is


@pytest.mark.once
def test_two_replaces_within_a_second(shared, pair):
    """Nothing that was moved aside is in the way of the next, or lost."""
    _, backstay = pair
    target = shared.path / "twice"
    backstay.restore(target)
    for number in range(3):
        place.give_to_owner((target / f"mine-{number}").touch() or target / f"mine-{number}")
        backstay.restore(target, "--replace")
    aside = [path for path in shared.path.iterdir() if path.name.startswith("twice.before-restore-")]
    assert sorted(name.name for path in aside for name in path.glob("mine-*")) == [
        "mine-0", "mine-1", "mine-2"]


@needs_root
@pytest.mark.once
def test_replace_where_pg_wal_is_a_mount_point(shared, pair):
    """Renamed with the directory it would be mounted over the new one's at the next boot."""
    _, backstay = pair
    target = shared.path / "mounted"
    backstay.restore(target)
    wal = target / "pg_wal"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m,mode=0700", "tmpfs", wal], check=True)
    try:
        place.give_to_owner(wal)
        for more in ([], ["--dry-run"]):
            backstay.fails(1, f'"{wal}" is a mount point.*unmount it', "restore", "orders", "--to",
                           target, "--replace", *more)
        assert not list(shared.path.glob("mounted.before-*"))
    finally:
        subprocess.run(["umount", wal], check=True)


def foreign(top):
    return [path for path in Path(top).rglob("*") if path.lstat().st_uid != place.OWNER[0]]


@needs_root
@pytest.mark.once
def test_roots_first_backup_into_a_repository_of_the_servers_user(shared):
    """Keys and WAL that root makes can be read by the user who archives."""
    server, backstay = shared.pair("rooted", wal_segsize_mb=1)
    environment = place.environment(shared.path, {"PGUSER": "postgres"})
    result = subprocess.run([backstay.binary, "-c", backstay.config, "backup", "orders",
                             "--standalone"], env=environment, text=True, capture_output=True,
                            check=False)
    assert result.returncode == 0, result.stderr
    assert foreign(backstay.repository) == []
    server.archive_all()
    # As earlier programs, or a copy by root, have left it: archiving says whose the file is.
    key = next(path for path in backstay.objects("orders") if "/key" in str(path))
    os.chown(key, 0, 0)
    server.rows("SELECT pg_switch_wal()")
    segment = server.data / "pg_wal" / server.value(
        "SELECT pg_walfile_name(pg_current_wal_lsn())")
    result = backstay.attempt("-q", "wal", "push", "orders", segment)
    owner = re.escape(place.run_as_owner(["id", "-un"], shared.path).stdout.strip())
    assert result.status == 1, result
    backstay.assert_one_line(result, f'belongs to user "root" and its mode is 0600.*as root: chown '
                                     f"-R {owner} {re.escape(str(backstay.repository))}")
    place.give_to_owner(key)
    os.chown(backstay.key_file, 0, 0)
    backstay.fails(2, f'key file: open "{re.escape(str(backstay.key_file))}": Permission denied: it '
                      'belongs to user "root"', "wal", "push", "orders", segment)
    place.give_to_owner(backstay.key_file)
    server.archive_all()
