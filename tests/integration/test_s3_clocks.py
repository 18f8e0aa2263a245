"""A program whose clock is wrong, and a bucket: requests are signed with the time."""
import filecmp

import pytest

from faketime import Clock
from pgserver import wait_for

pytestmark = pytest.mark.once

WRONG = [("-1d", "behind"), ("+365d", "ahead of")]


@pytest.fixture(scope="module")
def scene(shared, gateway):
    """A server that archives into a bucket by a program whose clock can be set."""
    bucket = gateway.bucket()
    server, backstay = shared.bucket_pair(bucket, wal_segsize_mb=1)
    clock = Clock(shared.path, "program")
    program = clock.program(shared.binary)
    server.make_markers()
    server.script("ALTER SYSTEM SET archive_command = '"
                  + backstay.archive_command().replace(str(shared.binary), str(program)) + "'",
                  "SELECT pg_reload_conf()")
    server.mark("first")
    backstay.backup()
    return shared, server, backstay, bucket, clock, program


def attempt(scene, *args):
    _, _, backstay, _, _, program = scene
    return backstay.attempt("-q", *args, binary=program)


@pytest.mark.parametrize("offset, word", WRONG)
def test_a_clock_that_is_far_off(scene, offset, word):
    """Push and backup say by how much; nothing is lost, and all goes on when the clock is right."""
    ws, server, backstay, bucket, clock, _ = scene
    server.archive_all()
    snapshots, objects = backstay.complete(), bucket.keys("orders/wal")
    clock.set(offset)
    failed = server.value("SELECT failed_count FROM pg_stat_archiver")
    server.mark(f"while the clock is {word}")
    segment = server.value("SELECT pg_walfile_name(pg_switch_wal())")
    wait_for("the archiver to fail", lambda: server.value(
        "SELECT failed_count FROM pg_stat_archiver") > failed)
    for args in (["wal", "push", "orders", server.data / "pg_wal" / segment], ["backup", "orders"],
                 ["backup", "orders", "--standalone"]):
        result = attempt(scene, *args)
        assert result.status == 1, result
        backstay.assert_one_line(result, rf"the clock of this host is \d+ s {word} .*: set it")
    server.assert_out_of_backup_mode()
    assert bucket.keys("orders/wal") == objects and backstay.complete() == snapshots
    assert any(word in text or segment in text or "archiv" in text
               for text in backstay.status()["problems"])

    clock.set("+0")
    server.archive_all()
    assert len(bucket.keys("orders/wal")) > len(objects)
    fetched = ws.path / f"fetched-{word.split()[0]}"
    backstay.run("wal", "fetch", "orders", segment, fetched)
    live = server.data / "pg_wal" / segment
    assert not live.exists() or filecmp.cmp(fetched, live, shallow=False)
    assert attempt(scene, "backup", "orders").status == 0
    assert backstay.status()["problems"] == []


@pytest.mark.parametrize("offset", ["-10m", "+10m"])
def test_a_clock_within_the_servers_tolerance(scene, offset):
    ws, server, backstay, _, clock, _ = scene
    clock.set(offset)
    server.mark(f"at {offset}")
    assert attempt(scene, "backup", "orders").status == 0
    server.mark(f"after {offset}")
    server.archive_all()
    clock.set("+0")
    restored = ws.restored(f"restored{offset[0] == '+'}")
    backstay.restore(restored.data, "--no-archive")
    restored.start_restored()
    assert restored.markers() == server.markers()
    restored.stop()
