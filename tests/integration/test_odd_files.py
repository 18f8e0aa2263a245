"""What a data directory may hold besides the server's files, and what comes back of it."""
import os
import shutil
import socket
import stat

import pytest

import pgserver
import place

pytestmark = [pytest.mark.once]
GIB = 1 << 30


@pytest.fixture(scope="module")
def cluster(shared):
    """A cluster with group access whose pg_wal is on another disk."""
    server = shared.server("pg")
    bs = shared.backstay(server)
    server.program("initdb", "-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-g",
                   "--wal-segsize=1", "--waldir", shared.path / "wal", "-D", server.data)
    with open(server.data / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write(pgserver.SETTINGS.format(port=server.port, sockets=server.sockets))
    server.configure({"archive_command": bs.archive_command()})
    bs.run("init")
    server.start()
    server.script("CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g")
    return server, bs


def modes(top, *but):
    found = {}
    for directory, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, top)
            if not relative.startswith(but):
                found[relative] = stat.S_IMODE(os.lstat(path).st_mode)
    return found


@pytest.mark.parametrize("how", ["fresh", "delta", "started"])
def test_group_access_comes_back(shared, cluster, how):
    server, bs = cluster
    if how == "fresh":
        bs.backup()
    to = shared.path / f"group-{how}"
    argv = []
    if how == "delta":
        bs.restore(to, "--no-archive")
        for directory, names, files in os.walk(to):
            for name in names + files:
                os.chmod(os.path.join(directory, name), 0o700)
        to.chmod(0o700)
        argv = ["--delta"]
    restored = shared.restored(to.name)
    if how == "started":
        argv = ["--start", "--pg-port", restored.port]
    bs.restore(to, "--no-archive", *argv)
    assert stat.S_IMODE(to.stat().st_mode) == 0o750
    found = modes(to, "postmaster.pid")
    wrong = {name: oct(mode) for name, mode in found.items()
             if mode != (0o750 if (to / name).is_dir() else 0o640)}
    # The server's own, which it keeps to itself.
    assert not wrong, wrong
    if how != "started":
        assert "backup_label" in found and "recovery.signal" in found
        assert "backup_manifest" in found and "postgresql.auto.conf" in found
    restored.stop()


def test_links_that_lead_out(shared, cluster):
    """Not followed but named, and what is behind one does not matter."""
    server, bs = cluster
    closed = place.make_directory(shared.path / "closed", mode=0)
    (shared.path / "logs").mkdir()
    (shared.path / "logs" / "server.log").write_text("not the cluster's")
    links = {"log": shared.path / "logs", "secret": closed / "file", "gone": "/nowhere",
             "server.crt": shared.path / "logs" / "server.log", "pg_stat_tmp": shared.path / "logs"}
    shutil.rmtree(server.data / "pg_stat_tmp")
    for name, target in links.items():
        (server.data / name).symlink_to(target)
    try:
        result = bs.run("backup", "orders")
        for name in set(links) - {"pg_stat_tmp"}:
            warned = [line for line in result.stderr.splitlines()
                      if f'{server.data}/{name}"' in line and str(links[name]) in line]
            assert len(warned) == 1, result
        assert "pg_stat_tmp" not in result.stderr
        to = shared.path / "no-links"
        result = bs.run("restore", "orders", "--to", to, "--no-archive")
        for name in set(links) - {"pg_stat_tmp"}:
            assert not os.path.lexists(to / name) and f'"{name}"' in result.stderr, result
        assert (to / "pg_stat_tmp").is_dir() and not (to / "pg_stat_tmp").is_symlink()
        assert (to / "pg_wal").is_dir()
        shared.restored("no-links").start_restored().stop()
    finally:
        for name in links:
            (server.data / name).unlink()
        place.make_directory(server.data / "pg_stat_tmp")


def test_a_link_in_the_place_of_data(shared, cluster):
    """A snapshot without a table would be none."""
    server, bs = cluster
    (server.data / "base" / "5" / "99999").symlink_to(shared.path)
    try:
        bs.fails(1, r'base/5/99999" is a link to ".*tablespace', "backup", "orders")
    finally:
        (server.data / "base" / "5" / "99999").unlink()


@pytest.mark.parametrize("what", ["file", "directory"])
def test_what_the_server_cannot_read(shared, cluster, what):
    """The message has the source, the full path and what to do."""
    server, bs = cluster
    path = server.data / "unreadable"
    if what == "file":
        path.write_text("root's")
    else:
        path.mkdir()
    path.chmod(0)
    if place.IS_ROOT:
        os.chown(path, 0, 0)
    try:
        bs.fails(1, rf'"orders".*"{path}" cannot be read: .*mode.*0000.*(chown|chmod|move it out)',
                 "backup", "orders")
    finally:
        path.chmod(0o700)
        path.unlink() if what == "file" else path.rmdir()


def test_leftovers_are_passed_by(shared, cluster):
    server, bs = cluster
    names = [".nfs000000000001", "base/5/.nfs000000000002", "pipe", "socket"]
    (server.data / names[0]).write_text("x")
    (server.data / names[1]).write_text("x")
    os.mkfifo(server.data / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(server.data / "socket"))
    try:
        result = bs.run("-v", "backup", "orders")
        to = shared.path / "no-leftovers"
        bs.run("restore", "orders", "--to", to, "--no-archive")
        for name in names:
            assert name in result.stderr and not (to / name).exists(), result
    finally:
        for name in names:
            (server.data / name).unlink()


def test_a_sparse_file_costs_what_its_data_cost(shared, cluster):
    """Its holes are neither read nor stored, and unchanged it costs nothing."""
    server, bs = cluster
    sparse = server.data / "sparse"
    with open(sparse, "wb") as file:
        file.truncate(64 * GIB + 5)
        file.seek(20 * GIB + 12345)
        file.write(b"data in the middle")
        file.seek(64 * GIB)
        file.write(b"end")
    place.give_to_owner(sparse)
    try:
        before = bs.backup()
        report = bs.backup()
        assert report["mode"] == "incremental" and report["new_bytes"] < 1 << 20, report
        assert report["read_bytes"] < GIB and before["new_bytes"] < 64 << 20, (before, report)
        to = shared.path / "with-sparse"
        bs.restore(to, "--no-archive")
        bs.restore(to, "--no-archive", "--delta")
        copy = to / "sparse"
        assert copy.stat().st_size == 64 * GIB + 5 and copy.stat().st_blocks * 512 < 1 << 20
        with open(copy, "rb") as file:
            file.seek(20 * GIB + 12344)
            assert file.read(20) == b"\0data in the middle\0"
            file.seek(64 * GIB - 1)
            assert file.read() == b"\0end\0\0"
    finally:
        sparse.unlink()
