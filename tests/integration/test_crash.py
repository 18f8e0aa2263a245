"""A backup that is killed, cancelled, or loses its storage or its server in the middle."""
import random
import signal
import subprocess
import time

import pytest

import compare
import place
from backstay import interrupt
from pgserver import wait_for


def assert_recovers(ws, server, backstay, name="after"):
    """Out of backup mode; the next backup succeeds; the restore equals the source."""
    server.assert_out_of_backup_mode()
    server.settle()
    snapshot = backstay.next_backup()
    assert backstay.status()["last_snapshot"]["snapshot"] == snapshot["snapshot"]
    backstay.restore(ws.path / name, "--at", snapshot["snapshot"])
    server.script("CHECKPOINT")
    compare.assert_equal(server.data, ws.path / name)


def start_slow_backup(backstay):
    """A running backup that has stored something already."""
    process = backstay.start("-q", "backup", "orders", "--max-rate", "4MiB")
    wait_for("the backup to hold the lease", lambda: backstay.status()["lease"] is not None)
    return process


def test_kills_at_random_moments(ws):
    """A killed backup leaves the server out of backup mode and the repository usable."""
    server, backstay = ws.pair()
    server.bench_init()
    chance = random.Random(20261121)
    complete = 0
    for _ in range(place.KILLS):
        process = backstay.start("backup", "orders", "--max-rate", "30MiB", "--break-lease")
        time.sleep(chance.uniform(0.02, 2.5))
        interrupt(process)
        backstay.finish(process)
        assert len(backstay.complete()) >= complete
        complete = len(backstay.complete())
    assert_recovers(ws, server, backstay)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["INT", "TERM"])
def test_a_cancelled_backup(ws, number):
    """A cancelled backup leaves the server out of backup mode, says so, and lists nothing."""
    server, backstay = ws.pair()
    process = start_slow_backup(backstay)
    interrupt(process, number)
    result = backstay.finish(process, timeout=30)
    assert result.status == 1, result
    backstay.assert_one_line(result, "cancel")
    assert backstay.complete() == []
    assert_recovers(ws, server, backstay)


def test_the_server_dies_during_the_backup(ws):
    server, backstay = ws.pair()
    process = start_slow_backup(backstay)
    server.kill()
    result = backstay.finish(process, timeout=120)
    assert result.status == 1, result
    backstay.assert_one_line(result, "")
    assert backstay.complete() == []
    server.start()
    assert_recovers(ws, server, backstay)


@pytest.mark.once
def test_the_repository_disappears_in_the_middle(ws):
    """A repository directory that disappears in the middle is a clear error."""
    server, backstay = ws.pair()
    process = start_slow_backup(backstay)
    away = backstay.repository.with_suffix(".away")
    backstay.repository.rename(away)
    result = backstay.finish(process, timeout=120)
    assert result.status == 1, result
    backstay.assert_one_line(result, str(backstay.repository))
    assert not backstay.repository.exists(), "it must not be made anew"
    away.rename(backstay.repository)
    assert_recovers(ws, server, backstay)


@pytest.mark.once
@pytest.mark.skipif(not place.IS_ROOT or bool(place.CHROOT), reason="mounts a small file system,"
                    " which only root may, and which a directory of another suite would not see")
def test_a_full_disk_under_the_repository(ws):
    """A full disk under the repository is a clear error; with space it goes on."""
    small = ws.directory("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", small], check=True)
    place.give_to_owner(small)
    server = ws.server()
    backstay = ws.backstay(server)
    backstay.edit_config(str(backstay.repository), str(small / "repo"))
    backstay.repository = small / "repo"
    server.init(settings={"archive_command": "/bin/true"}).start()
    server.script("CREATE TABLE noise AS SELECT g AS id, md5(random()::text) || md5(random()::text)"
                  " AS t FROM generate_series(1, 400000) g", "SELECT pg_switch_wal()")
    server.archive_all()
    backstay.run("init")
    server.script(f"ALTER SYSTEM SET archive_command = '{backstay.archive_command()}'",
                  "SELECT pg_reload_conf()")
    backstay.fails(1, "space", "backup", "orders")
    assert backstay.complete() == []
    subprocess.run(["mount", "-o", "remount,size=400m", small], check=True)
    assert_recovers(ws, server, backstay)
