"""What `status` says of the server that runs, and what a backup says whose WAL does not come."""
import contextlib
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

import faketime
import place
from backstay import CONFIG, read_problems
from pgserver import wait_for


@pytest.fixture(scope="module")
def scene(shared):
    """A server with one snapshot in its repository, whose archive_command the tests change."""
    server, backstay = shared.pair(wal_segsize_mb=1)
    server.make_markers()
    backstay.backup()
    return server, backstay


@contextlib.contextmanager
def archive_command(server, backstay, command):
    """Another command for a while, after which all is archived again."""
    server.script(f"ALTER SYSTEM SET archive_command = '{command}'", "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        server.script("ALTER SYSTEM RESET archive_command", "SELECT pg_reload_conf()")
        server.archive_all()
        assert backstay.status()["problems"] == []


def switch_wal(server):
    server.mark(f"mark {time.monotonic_ns()}")
    server.rows("SELECT pg_switch_wal()")


def problem_of(report, words):
    """The one problem with these words."""
    found = [problem for problem in report["problems"] if words in problem]
    assert len(found) == 1, report["problems"]
    return found[0]


def other_config(shared, backstay, name, **values):
    """The same repository with another server, or another key."""
    text = CONFIG.format(**{
        "repository": backstay.repository, "key_file": backstay.key_file,
        "connection": backstay.server.conninfo(), "data": backstay.server.data, **values})
    return shared.backstay(text=text, name=name)


def with_clock(backstay, offset):
    """The program under another clock: a script, since what becomes the owner must not have it."""
    script = backstay.home / f"clock{offset}"
    script.write_text(f"#!/bin/sh\nLD_PRELOAD={faketime.LIBRARY} FAKETIME={offset} "
                      f"FAKETIME_DONT_FAKE_MONOTONIC=1 exec {backstay.binary} \"$@\"\n")
    script.chmod(0o755)
    return place.give_to_owner(script)


def test_a_server_that_is_well(scene):
    server, backstay = scene
    report = backstay.status()
    assert report["ok"], report
    told = report["server"]
    assert told["reachable"] and told["why"] is None
    assert told["system_identifier"] == str(
        server.value("SELECT system_identifier FROM pg_control_system()"))
    assert (told["timeline"], told["in_recovery"]) == (1, False)
    assert told["archiver"]["mode"] == "on" and not told["archiver"]["failing"]
    assert abs(told["clock_ahead_seconds"]) < 30
    assert "on timeline 1, archiving is on" in backstay.run("status", "orders").stdout


def test_a_server_that_cannot_be_asked_is_no_problem(shared, scene):
    _, backstay = scene
    away = other_config(shared, backstay, "away", connection="host=/nowhere user=postgres",
                        data="/nowhere")
    report = away.status()
    assert report["ok"] and not report["server"]["reachable"], report
    assert "/nowhere" in report["server"]["why"] and report["server"]["ready"] is None
    assert "cannot be asked" in away.run("status", "orders").stdout
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute_one = other_config(shared, backstay, "mute",
                                connection=f"host=127.0.0.1 port={mute.getsockname()[1]}")
        report = mute_one.status()
    assert report["ok"] and "does not answer within 3 s" in report["server"]["why"], report


def test_the_error_of_wal_push_is_told_by_status_and_backup(shared, scene):
    server, backstay = scene
    keyless = other_config(shared, backstay, "keyless", key_file="/nowhere/key")
    before = len(backstay.snapshots())
    with archive_command(server, backstay, keyless.archive_command()):
        started = time.monotonic()
        result = backstay.attempt("backup", "orders")
        assert result.status == 1 and re.search(
            'backstay: .* the server\'s archiver failed with 0{7}1.*"wal push" reported: .*/nowhere/key',
            result.stderr), result
        assert "warning: waiting for WAL segment" in result.stderr, result
        assert time.monotonic() - started < 80, "it must not wait for its whole time"
        report = backstay.status()
        problem = problem_of(report, '"wal push" reported: ')
        assert "/nowhere/key" in problem and " in all)" in problem
        assert report["server"]["archiver"]["failing"]
        assert report["server"]["archiver"]["last_failed_wal"] in problem
        assert report["server"]["ready"]["files"] > 0
        assert "archiving is FAILING" in backstay.attempt("status", "orders").stdout
    assert len(backstay.snapshots()) == before
    server.assert_out_of_backup_mode()
    assert not list((server.data / "pg_wal").glob(".backstay-push*")), "a success removes the note"


def test_a_command_that_does_not_reach_wal_push(scene):
    server, backstay = scene
    with archive_command(server, backstay, "/bin/false"):
        result = backstay.attempt("backup", "orders")
        assert result.status == 1 and "failed before" in result.stderr, result
        assert "the server's log" in problem_of(backstay.status(), "archiver failed with")


def test_a_command_that_archives_elsewhere(scene):
    server, backstay = scene
    elsewhere = 'no repository of "orders" has it'
    with archive_command(server, backstay, "/bin/true"):
        before = server.value("SELECT archived_count FROM pg_stat_archiver")
        switch_wal(server)
        wait_for("the archiver", lambda: server.value(
            "SELECT archived_count FROM pg_stat_archiver") > before)
        assert "/bin/true" in problem_of(backstay.status(), elsewhere)
        # What was thrown away is still in pg_wal here.
        for path in sorted((server.data / "pg_wal").glob("0*")):
            if (server.data / "pg_wal" / "archive_status" / f"{path.name}.done").exists():
                backstay.run("wal", "push", "orders", path)


def test_a_command_that_is_empty(scene):
    server, backstay = scene
    with archive_command(server, backstay, ""):
        assert "wal push orders" in problem_of(backstay.status(), "archive_command is empty")


def test_wal_that_waits_for_long(shared, scene):
    """The archiver does not fail: it hangs. Whoever may not ask for its directory looks at it."""
    server, backstay = scene
    goes_on = shared.path / "goes-on"
    server.script("CREATE ROLE humble LOGIN", "GRANT pg_read_all_settings TO humble")
    humble = other_config(shared, backstay, "humble", connection=server.conninfo("humble"))
    with archive_command(server, backstay, f"while ! test -e {goes_on}; do sleep 0.1; done; "
                         + backstay.archive_command()):
        switch_wal(server)
        for path in (server.data / "pg_wal" / "archive_status").glob("*.ready"):
            os.utime(path, (time.time() - 1000, time.time() - 1000))
        for one in (backstay, humble):
            report = one.status()
            assert " min" in problem_of(report, "wait for the archiver"), report
            assert report["server"]["ready"]["oldest"] in report["problems"][0]
        goes_on.touch()


def test_another_cluster_under_the_name(shared, scene):
    _, backstay = scene
    stranger = shared.server("stranger").init(settings={"archive_command": "/bin/true"}).start()
    other = other_config(shared, backstay, "other", connection=stranger.conninfo(),
                         data=stranger.data)
    report = other.status()
    assert str(stranger.value("SELECT system_identifier FROM pg_control_system()")) in problem_of(
        report, "another cluster")
    stranger.stop("immediate")


def test_a_server_on_another_timeline(shared, scene):
    """A copy that has left the archive's timeline, first unseen, then into the source's archive."""
    server, backstay = scene
    server.archive_all()
    copy = shared.restored("copy")
    backstay.restore(copy.data, "--no-archive")
    copy.start_restored()
    at_copy = other_config(shared, backstay, "at-copy", connection=copy.conninfo(), data=copy.data)
    assert "on timeline 2, of which nothing is archived" in problem_of(at_copy.status(),
                                                                       "on timeline")
    problem_of(at_copy.status(), "archive_mode is off")
    copy.stop()
    copy.start({"archive_mode": "on"})
    switch_wal(copy)
    copy.archive_all()
    copy.stop()
    assert "newest WAL is of timeline 2" in problem_of(backstay.status(), "is on timeline 1")
    second, = (backstay.repository / "orders" / "wal").glob("*/00000002")
    shutil.rmtree(second)
    for path in backstay.objects("orders/wal"):
        if "00000002.history" in path.name:
            path.unlink()
    backstay.forget_marks()
    assert backstay.status()["ok"]


def test_a_standby(shared, scene):
    server, backstay = scene
    standby = shared.server("standby")
    server.program("pg_basebackup", "-D", standby.data, "-R", "-c", "fast", "-h", server.sockets,
                   "-p", str(server.port), "-U", "postgres")
    standby.start()
    other = other_config(shared, backstay, "at-standby", connection=standby.conninfo(),
                         data=standby.data)
    problem_of(other.status(), "is a standby")
    standby.stop()


@pytest.mark.once
def test_clocks_that_differ(scene):
    server, backstay = scene
    ahead = backstay.attempt("status", "orders", "--json", binary=with_clock(backstay, "+3d"))
    assert ahead.status == 1 and ahead.stdout, ahead
    assert "3 days behind this host's" in problem_of(read_problems(ahead.json()["sources"][0]),
                                                     "the server's clock")
    report = backstay.attempt("backup", "orders", "--json", binary=with_clock(backstay, "+3d"))
    assert report.status == 0 and "the server's clock is 3 days behind" in report.stderr, report
    snapshot = report.json()["snapshot"]
    problem = problem_of(backstay.status(), f"snapshot {snapshot} is dated")
    assert "2 days ahead of this host's" in problem or "3 days ahead of this host's" in problem
    result = backstay.attempt("backup", "orders", "--json")
    assert result.status == 0 and f"snapshot {snapshot} is dated" in result.stderr, result
    (backstay.repository / "orders" / "snapshots" / snapshot).unlink()
    backstay.forget_marks()
    assert backstay.status()["ok"]
    newest = [path for path in backstay.objects("orders/wal") if len(path.name) == 24][-1]
    os.utime(newest, (time.time() + 7200, time.time() + 7200))
    problem_of(backstay.status(), "the newest WAL in repository")
    os.utime(newest)
    server.archive_all()


@pytest.mark.once
@pytest.mark.skipif(not place.IS_ROOT, reason="only root mounts")
def test_a_repository_that_is_full_or_read_only(ws):
    server = ws.server()
    backstay = ws.backstay(server)
    small = ws.directory("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0777", "tmpfs", small], check=True)
    backstay.edit_config(str(backstay.repository), str(small / "repo"))
    server.init(settings={"archive_command": backstay.archive_command()}, wal_segsize_mb=1)
    backstay.run("init")
    server.start()
    backstay.backup()
    assert backstay.status()["ok"]
    space = os.statvfs(small)
    (small / "ballast").write_bytes(bytes(space.f_bavail * space.f_frsize - 300 * 1024))
    problem_of(backstay.status(), 'repository "local" is nearly full')
    space = os.statvfs(small)
    (small / "more").write_bytes(bytes(space.f_bavail * space.f_frsize))
    server.script("CREATE TABLE t AS SELECT generate_series(1, 10000)")
    backstay.fails(1, "No space left|is full", "backup", "orders")
    switch_wal_of_full = server.rows("SELECT pg_switch_wal()")
    assert switch_wal_of_full
    wait_for("the archiver to fail",
             lambda: server.value("SELECT failed_count FROM pg_stat_archiver") > 0)
    assert "space" in problem_of(backstay.status(), "archiver failed with")
    (small / "ballast").unlink()
    (small / "more").unlink()
    server.archive_all()
    server.stop()
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    problem_of(backstay.status(), 'repository "local" is read-only')


def test_archive_mode_off(scene):
    server, backstay = scene
    server.stop()
    server.start({"archive_mode": "off"})
    problem_of(backstay.status(), "archive_mode is off")
    assert "archiving is off" in backstay.attempt("status", "orders").stdout
    server.stop()
    assert not backstay.status()["server"]["reachable"]


def test_a_source_whose_server_is_not_known(ws):
    """A machine that has the repository and its key alone: nothing is asked, and all else is said."""
    server, backstay = ws.pair()
    backstay.backup("--standalone")
    server.stop()
    alone = ws.backstay(name="alone", text=f"""\
repositories:
  local: {{ path: {backstay.repository}, key_file: {backstay.key_file} }}
""")
    assert alone.json("status")["sources"][0]["server"] is None
    assert "orders" in alone.run("status").stdout
