"""Backup and restore run by root: the owner of the data directory cannot lead root out of it."""
import os
import shutil
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import place

pytestmark = [pytest.mark.once]

# Swaps a directory of the tree for a link to the victim and back, as fast as it can.
SWAPPER = textwrap.dedent("""
    import ctypes, os, sys
    libc = ctypes.CDLL(None, use_errno=True)
    victim, root, *names = sys.argv[1:]
    spare = root + ".link"
    os.symlink(victim, spare)
    print("at work", flush=True)
    while True:
        for name in names:
            path = os.path.join(root, name).encode()
            for _ in range(2):
                libc.renameat2(-100, spare.encode(), -100, path, 2)
""")


class Swapper:
    def __init__(self, ws, victim, root, *names):
        argv = place.as_owner([sys.executable, "-B", "-c", SWAPPER, victim, root, *names])
        self.process = subprocess.Popen(argv, cwd="/", stdout=subprocess.PIPE, text=True,
                                        env=place.environment(ws.path))
        self.link = Path(f"{root}.link")

    def __enter__(self):
        assert self.process.stdout.readline() == "at work\n"
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if self.link.is_symlink():
            self.link.unlink()
        elif self.link.exists():
            shutil.rmtree(self.link)


class Victim:
    """A directory that only root may touch, with what a restore would overwrite or give away."""

    def __init__(self, path, names):
        self.path = path
        path.mkdir(mode=0o700)
        for name in names:
            (path / name).write_text("root's own")
            (path / name).chmod(0o600)
        self.before = self.look()

    def look(self):
        found = {}
        for path in [self.path, *self.path.rglob("*")]:
            st = path.lstat()
            found[str(path)] = (st.st_uid, st.st_gid, st.st_mode,
                                path.read_text() if path.is_file() else None)
        return found

    def assert_untouched(self):
        assert self.look() == self.before


def as_root(ws, bs, *args, env=None):
    """The command run by root, whatever its end."""
    return subprocess.run([str(bs.binary), "-c", str(bs.config), *map(str, args)], cwd="/",
                          text=True, capture_output=True, timeout=300, check=False,
                          env=place.environment(ws.path, env))


def must(result):
    assert result.returncode == 0, result.stderr
    return result


def owners(top):
    found = set()
    for directory, names, files in os.walk(top):
        for name in [".", *names, *files]:
            st = os.lstat(os.path.join(directory, name))
            found.add((st.st_uid, st.st_gid))
    return found


@pytest.fixture(scope="module")
def cluster(shared):
    """A cluster with a tablespace and a standalone snapshot, and a repository that is root's."""
    assert place.IS_ROOT, "these tests are about root"
    server, bs = shared.pair(wal_segsize_mb=1)
    fast = shared.directory("fast")
    server.rows(f"CREATE TABLESPACE fast LOCATION '{fast}'")
    server.script("CREATE TABLE t AS SELECT g, repeat('x', 500) FROM generate_series(1, 2000) g",
                  "CREATE TABLE u TABLESPACE fast AS SELECT g FROM generate_series(1, 50000) g")
    # Only root may read where the snapshot is, and with what key.
    text = bs.config.read_text(encoding="utf-8")
    mine = shared.backstay(server, name="mine", text=text.replace("pg-bs.repo", "mine.repo")
                           .replace("pg-bs.key", "mine.key"))
    os.chown(mine.config, 0, 0)
    must(as_root(shared, mine, "init"))
    must(as_root(shared, mine, "backup", "orders", "--standalone"))
    for path in (mine.repository, mine.key_file):
        assert path.stat().st_uid == 0 and path.stat().st_mode & 0o077 == 0
    return server, mine


def victim_names(server):
    """What a restore writes below base/5 and global."""
    database = server.data / "base" / "5"
    return sorted(path.name for path in database.iterdir())[:20] + ["pg_control", "pg_filenode.map"]


def test_root_restores_for_the_owner(shared, cluster):
    """Repository and key are root's alone, all that comes of them is the cluster's owner's."""
    server, bs = cluster
    to = shared.path / "plain"
    must(as_root(shared, bs, "restore", "orders", "--to", to, "--no-archive", "--tablespace",
                 f"fast={shared.path}/plain-fast"))
    assert owners(to) == {place.OWNER} and owners(shared.path / "plain-fast") == {place.OWNER}
    restored = shared.restored("plain")
    restored.start_restored({"restore_command": "/bin/false"})  # the archive is closed to it
    assert restored.value("SELECT count(*) FROM u") == 50000
    restored.stop()
    must(as_root(shared, bs, "restore", "orders", "--to", to, "--no-archive", "--delta",
                 "--tablespace", f"fast={shared.path}/plain-fast"))
    assert owners(to) == {place.OWNER}
    must(as_root(shared, bs, "restore", "orders", "--to", to, "--no-archive", "--replace",
                 "--tablespace", f"fast={shared.path}/plain-fast"))
    assert owners(to) == {place.OWNER}


@pytest.mark.parametrize("mode", ["fresh", "delta", "tablespace"])
def test_swapped_directories_lead_nowhere(shared, cluster, mode):
    server, bs = cluster
    to = shared.path / f"swap-{mode}"
    fast = shared.path / f"swap-{mode}-fast"
    victim = Victim(shared.path / f"victim-{mode}", victim_names(server))
    argv = ["restore", "orders", "--to", to, "--no-archive", "--tablespace", f"fast={fast}"]
    if mode == "delta":
        must(as_root(shared, bs, *argv))
        argv.append("--delta")
    root, names = to, ["base/5", "global", "base", "pg_wal"]
    if mode == "tablespace":
        version = next(iter((server.data / "pg_tblspc").iterdir())).resolve()
        root, names = fast, [next(iter(version.iterdir())).name]
    for _ in range(4):
        with Swapper(shared, victim.path, root, *names):
            as_root(shared, bs, *argv)
        victim.assert_untouched()
        if mode != "delta":
            for path in (to, fast):
                shutil.rmtree(path, ignore_errors=True)
    # A destination's pg_wal may be a link on purpose: one to a directory of root's is refused.
    if (to / "pg_wal").is_symlink():
        (to / "pg_wal").unlink()
    # Left alone it succeeds, whatever else the tree was left as.
    must(as_root(shared, bs, *argv))
    assert owners(to) == {place.OWNER}


def test_links_in_a_tree_that_is_mended(shared, cluster):
    """With --delta the whole tree may be prepared by its owner."""
    server, bs = cluster
    to = shared.path / "trap"
    fast = shared.path / "trap-fast"
    victim = Victim(shared.path / "victim-trap", victim_names(server))
    argv = ["restore", "orders", "--to", to, "--no-archive", "--tablespace", f"fast={fast}"]
    must(as_root(shared, bs, *argv))
    for name in ("base", "global", "pg_xact"):
        (to / name).rename(to / f"{name}.old")
        (to / name).symlink_to(victim.path)
    for name in ("backup_label", "postgresql.auto.conf", "recovery.signal", "backup_manifest",
                 "backstay_restore_unfinished", "PG_VERSION"):
        (to / name).unlink(missing_ok=True)
        (to / name).symlink_to(victim.path / "pg_control")
    must(as_root(shared, bs, *argv, "--delta"))
    victim.assert_untouched()
    assert (to / "base").is_dir() and not (to / "base").is_symlink()
    assert owners(to) == {place.OWNER}
    # pg_wal may be a link, to a directory of the owner's.
    (to / "pg_wal").rename(to / "pg_wal.old")
    (to / "pg_wal").symlink_to(victim.path)
    result = as_root(shared, bs, *argv, "--delta")
    assert result.returncode == 1 and "belongs to root" in result.stderr, result
    victim.assert_untouched()


def test_a_path_through_somebody_elses_directory(shared, cluster):
    """The owner of a directory on the path decides what is made and moved there, not root."""
    _, bs = cluster
    victim = Victim(shared.path / "victim-path", ["data"])
    (victim.path / "old").mkdir()
    (victim.path / "old" / "kept").write_text("root's")
    victim.before = victim.look()
    mine = shared.directory("lane")
    (mine / "way").symlink_to(victim.path)
    os.chown(mine / "way", *place.OWNER, follow_symlinks=False)
    for name, more in (("new", []), ("old", ["--replace"]), ("data/x", [])):
        result = as_root(shared, bs, "restore", "orders", "--to", mine / "way" / name,
                         "--no-archive", "--tablespace", f"fast={shared.path}/lane-fast", *more)
        assert result.returncode == 1, result
        victim.assert_untouched()


def test_directories_that_root_made(shared, cluster):
    """An empty directory that root made in the owner's is the owner's; a full one is refused."""
    _, bs = cluster
    mine = shared.directory("made")
    (mine / "empty").mkdir()
    os.chown(mine / "empty", 0, 0)
    argv = ["restore", "orders", "--to", mine / "empty", "--no-archive", "--tablespace",
            f"fast={shared.path}/made-fast"]
    must(as_root(shared, bs, *argv))
    assert owners(mine / "empty") == {place.OWNER}
    os.chown(mine / "empty", 0, 0)
    result = as_root(shared, bs, *argv, "--delta")
    assert result.returncode == 1 and "belongs to root" in result.stderr


def test_owners_and_bits_that_are_not_given(shared):
    """Nothing of root's or of others, and no setuid bit, comes out of a snapshot."""
    server, bs = shared.pair("odd", wal_segsize_mb=1)
    made = {"others": (65534, 65534, 0o644), "roots": (0, 0, 0o644), "setuid": (*place.OWNER, 0o4755),
            "sticky": (*place.OWNER, 0o1700), "foreign-group": (place.OWNER[0], 65534, 0o640)}
    for name, (uid, gid, mode) in made.items():
        (server.data / name).write_text(name)
        os.chown(server.data / name, uid, gid)
        os.chmod(server.data / name, mode)
    bs.backup()
    to = shared.path / "odd-restored"
    result = must(as_root(shared, bs, "restore", "orders", "--to", to, "--no-archive"))
    assert owners(to) == {place.OWNER}
    modes = {name: stat.S_IMODE((to / name).stat().st_mode) for name in made}
    assert modes == {"others": 0o644, "roots": 0o644, "setuid": 0o755, "sticky": 0o700,
                     "foreign-group": 0o600}
    assert "another user" in result.stderr and "setuid" in result.stderr, result.stderr
    assert "group" in result.stderr


def spying_programs(ws, name):
    """A directory with a `postgres` that writes down as whom, and with what, it is run."""
    directory = ws.directory(name)
    log = directory / "log"
    script = directory / "postgres"
    script.write_text(f"#!/bin/sh\n{{ echo \"uid $(id -u) $1\"; env; }} >> {log}\n"
                      f"exec {place.PG_BIN}/postgres \"$@\"\n")
    script.chmod(0o755)
    place.give_to_owner(script)
    return directory, log


def test_a_server_that_root_starts(shared, cluster):
    """Programs run as the owner, without the caller's secrets; its log is no way out either."""
    server, bs = cluster
    os.chmod(bs.config, 0o600)
    to = shared.path / "started"
    victim = Victim(shared.path / "victim-log", ["log"])
    programs, log = spying_programs(shared, "spy")
    restored = shared.restored("started")
    argv = ["restore", "orders", "--to", to, "--no-archive", "--action", "shutdown",
            "--at", "immediate", "--tablespace", f"fast={to}-fast"]
    argv += ["--start", "--pg-bin", programs, "--pg-port", restored.port]
    secrets = {"AWS_SECRET_ACCESS_KEY": "s3cr3t-one", "AWS_SESSION_TOKEN": "s3cr3t-two",
               "HTTPS_PROXY": "http://me:s3cr3t-three@proxy", "PGPASSWORD": "s3cr3t-four"}
    # The archive is closed to the server, so that it stops; what matters happens before.
    as_root(shared, bs, *argv, env=secrets)
    seen = log.read_text()
    assert f"uid {place.OWNER[0]} --version" in seen and f"uid {place.OWNER[0]} -D" in seen, seen
    assert "uid 0" not in seen and "s3cr3t" not in seen and "AWS_" not in seen
    assert (to / "startup.log").stat().st_uid == place.OWNER[0]
    (to / "startup.log").unlink()
    (to / "startup.log").symlink_to(victim.path / "log")
    # A snapshot does not have the link: --delta removes it. So it is planted while root restores.
    with subprocess.Popen(place.as_owner(
            ["sh", "-c", f"while :; do ln -sf {victim.path}/log {to}/startup.log; done"]),
            stderr=subprocess.DEVNULL) as planter:
        result = as_root(shared, bs, *argv, "--delta", env=secrets)
        planter.kill()
    assert result.returncode == 1
    victim.assert_untouched()
    assert "root's own" not in result.stderr


def assert_no_trace(shared, bs, to):
    """Nothing of the victim's is in the newest snapshot."""
    must(as_root(shared, bs, "restore", "orders", "--to", to, "--no-archive", "--tablespace",
                 f"fast={to}-fast"))
    for directory, _, files in os.walk(to):
        for name in files:
            assert b"root's own" not in Path(directory, name).read_bytes(), (directory, name)
    shutil.rmtree(to)
    shutil.rmtree(f"{to}-fast")


def test_a_backup_by_root_follows_no_planted_link(shared, cluster):
    """Neither a link that was there before nor one that a directory is swapped for."""
    server, bs = cluster
    victim = Victim(shared.path / "victim-backup", [f"file{i}" for i in range(50)])
    extra = shared.directory("pg/extra")
    for i in range(50):
        (extra / f"file{i}").write_text("the owner's own" * 2000)
        place.give_to_owner(extra / f"file{i}")
    (server.data / "planted").symlink_to(victim.path)
    (server.data / "planted-file").symlink_to(victim.path / "file1")
    argv = ["backup", "orders", "--standalone"]
    try:
        must(as_root(shared, bs, *argv))
        assert_no_trace(shared, bs, shared.path / "trace")
        for i in range(4):
            with Swapper(shared, victim.path, server.data, "extra"):
                result = as_root(shared, bs, *argv, *(["--full"] if i % 2 else []))
            if result.returncode == 0:
                assert_no_trace(shared, bs, shared.path / "trace")
        victim.assert_untouched()
    finally:
        (server.data / "planted").unlink()
        (server.data / "planted-file").unlink()
        if extra.is_symlink():
            extra.unlink()
        shutil.rmtree(extra, ignore_errors=True)


def test_a_tablespace_that_only_root_may_read(shared, cluster):
    """The link of a tablespace is followed as the owner."""
    server, bs = cluster
    victim = Victim(shared.path / "victim-place", [])
    version = next((server.data / "pg_tblspc").iterdir()).resolve()
    own = next(version.iterdir()).name
    (victim.path / own).mkdir()
    (victim.path / own / "secret").write_text("root's own")
    link = server.data / "pg_tblspc" / "99999"
    link.symlink_to(victim.path)
    try:
        result = as_root(shared, bs, "backup", "orders", "--standalone")
        assert result.returncode == 1 and "pg_tblspc/99999" in result.stderr, result
    finally:
        link.unlink()
