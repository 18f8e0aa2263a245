"""The settings of a recovery are gone when it has ended, whichever way the server is started, and
nothing else in postgresql.auto.conf changes: shown by standbys of the restored servers."""
import re

import pytest

from pgserver import wait_for

OWN = "# kept as it is\nwork_mem = '5MB'\nlog_min_duration_statement = '1h'\n"
TARGETS = ["latest", "time", "lsn", "xid", "name", "immediate"]


@pytest.fixture(scope="module")
def story(shared):
    server, backstay = shared.pair("origin", wal_segsize_mb=1)
    server.make_markers()
    server.mark("one")
    server.stop()
    with open(server.data / "postgresql.auto.conf", "w", encoding="utf-8") as conf:
        conf.write(OWN)
    server.start()
    snapshot = backstay.backup()
    two = server.mark("two")
    server.rows("SELECT pg_create_restore_point('here')")
    server.mark("three")
    server.archive_all()
    server.stop()
    targets = {"latest": "latest", "time": two.time, "lsn": f"lsn:{two.lsn}",
               "xid": f"xid:{two.xid}", "name": "name:here", "immediate": snapshot["snapshot"]}
    return server, backstay, targets


def auto_conf(server):
    return (server.data / "postgresql.auto.conf").read_text(encoding="utf-8")


def wait_promoted(server):
    wait_for(f"the end of recovery of {server.name}",
             lambda: not server.value("SELECT pg_is_in_recovery()"))


def assert_ended(server, own=OWN):
    """The end command runs just before the server is open."""
    assert auto_conf(server) == own, server.log_tail()
    assert not list((server.data / "pg_wal").glob(".backstay-recovery*"))


def assert_standby_streams(ws, primary, name):
    standby = ws.server(name)
    primary.program("pg_basebackup", "-R", "-X", "stream", "-c", "fast", "-d", primary.conninfo(),
                    "-D", standby.data)
    standby.start()
    primary.mark("for the standby")
    wait_for("the row on the standby",
             lambda: standby.markers()[-1] == "for the standby")
    assert standby.value("SELECT status FROM pg_stat_wal_receiver") == "streaming"
    assert standby.value("SELECT pg_is_in_recovery()")
    standby.stop()


@pytest.mark.parametrize("kind", TARGETS)
def test_a_standby_of_the_restored_primary_streams(ws, story, kind):
    _, backstay, targets = story
    primary = ws.restored("primary")
    backstay.restore(primary.data, "--at", targets[kind], "--no-archive")
    assert "restore_command" in auto_conf(primary)
    primary.start()
    wait_promoted(primary)
    assert_ended(primary, OWN + "archive_mode = 'off'\n")
    assert_standby_streams(ws, primary, "standby")
    primary.stop()
    primary.start()
    assert not primary.value("SELECT pg_is_in_recovery()")
    assert primary.value("SHOW work_mem") == "5MB"
    assert primary.value("SHOW recovery_target_timeline") == "latest"


def test_with_start_too(ws, story):
    _, backstay, targets = story
    primary = ws.restored("primary")
    backstay.restore(primary.data, "--at", targets["time"], "--no-archive", "--start", "--pg-port",
                     primary.port)
    assert_ended(primary, OWN + "archive_mode = 'off'\n")
    primary.stop()


def test_a_crash_a_pause_and_alter_system_before_the_end(ws, story):
    _, backstay, targets = story
    primary = ws.restored("primary")
    backstay.restore(primary.data, "--at", targets["time"], "--action", "pause", "--no-archive")
    before = auto_conf(primary)
    primary.start()
    paused = "SELECT pg_is_wal_replay_paused()"
    wait_for("the pause", lambda: primary.value(paused))
    primary.kill()
    assert auto_conf(primary) == before
    primary.start()
    wait_for("the pause", lambda: primary.value(paused))
    # Writes the file anew: the comment goes, and the lines have the form of the server.
    primary.rows("ALTER SYSTEM SET maintenance_work_mem = '33MB'")
    primary.rows("SELECT pg_promote()")
    wait_promoted(primary)
    rest = auto_conf(primary)
    assert "maintenance_work_mem" in rest and "work_mem = '5MB'" in rest
    assert "recovery" not in rest and "restore_command" not in rest, rest
    assert_standby_streams(ws, primary, "standby")


def test_the_settings_last_until_recovery_ends(ws, story):
    """With --action shutdown the server stops at the target; who wants more gives it another."""
    _, backstay, targets = story
    primary = ws.restored("primary")
    backstay.restore(primary.data, "--at", targets["time"], "--action", "shutdown", "--no-archive",
                     "--start", "--pg-port", primary.port)
    assert "recovery_target_time" in auto_conf(primary)
    with open(primary.data / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
        conf.write("recovery_target_action = 'promote'\n")
    primary.start()
    wait_promoted(primary)
    assert_ended(primary, OWN + "archive_mode = 'off'\nrecovery_target_action = 'promote'\n")


def test_a_program_that_is_gone_does_not_keep_the_server_from_starting(ws, story):
    _, backstay, _ = story
    primary = ws.restored("primary")
    backstay.restore(primary.data, "--no-archive")
    conf = primary.data / "postgresql.auto.conf"
    lines = auto_conf(primary).splitlines(keepends=True)
    line, = [line for line in lines if line.startswith("recovery_end_command")]
    gone = re.sub(r"/.*/backstay\b", "/nowhere/backstay", line)
    assert gone != line
    conf.write_text("".join(lines).replace(line, gone))
    primary.start()
    wait_promoted(primary)
    assert "restore_command" in auto_conf(primary), "nothing was taken out"


def test_what_a_crash_left_is_taken_out_by_the_archiver(ws, story):
    """The server crashed when recovery had ended and the command had not been run."""
    server, backstay, _ = story
    primary = ws.restored("primary")
    backstay.restore(primary.data, "--no-archive")
    conf = primary.data / "postgresql.auto.conf"
    text = auto_conf(primary)
    line, = [line for line in text.splitlines() if line.startswith("recovery_end_command")]
    conf.write_text(text.replace(line, "recovery_end_command = ''"))
    primary.start()
    wait_promoted(primary)
    primary.stop()
    assert "restore_command" in auto_conf(primary)
    name = sorted(path.name for path in (primary.data / "pg_wal").glob("0*")
                  if len(path.name) == 24)[0]
    backstay.attempt("wal", "push", "orders", primary.data / "pg_wal" / name)
    assert "restore_command" not in auto_conf(primary)
    assert OWN in auto_conf(primary)
