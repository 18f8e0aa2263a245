"""What the archiver hands over: files that are not what they seem, repositories that do not answer,
and what a new primary has that the archive lacks."""
import re
import socket
import threading

import pytest

import place
from pgserver import wait_for


@pytest.fixture
def silent():
    """A server that accepts connections and never answers: its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    kept = []

    def accept():
        while True:
            try:
                kept.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for connection in kept:
        connection.close()


GARBAGE = {
    "00000002.history": (b"", "empty"),
    "00000003.history": (b"nothing of the kind\n", "line 1"),
    "000000010000000000000007": (bytes(1 << 20), "contains only zeros"),
    "000000010000000000000008.partial": (b"", "empty"),
    "000000010000000000000008.00000028.backup": (b"\n", "backup history"),
}


@pytest.mark.once
def test_a_file_that_is_not_what_its_name_says_is_refused(ws):
    backstay = ws.backstay()
    backstay.run("init")
    for name, (content, reason) in GARBAGE.items():
        path = ws.path / name
        path.write_bytes(content)
        place.give_to_owner(path)
        result = backstay.fails(1, f"\"{re.escape(name)}\" is not archived: .*{reason}.*"
                                "The server keeps the file and tries again",
                                "wal", "push", "orders", path)
        assert "another snapshot or repository" not in result.stderr
    assert backstay.objects("orders/wal") == []


SILENT = """\
repositories:
  local: {{ path: {repository}, key_file: {key_file} }}
  silent:
    s3: {{ bucket: none, endpoint: "http://127.0.0.1:{port}", credentials_file: {credentials} }}
    key_file: {key_file}
sources:
  orders:
    postgres: {{ connection: "{connection}", data: {data} }}
    to: [{first}]
    push_timeout: 300ms
    workers: 2
"""


@pytest.mark.once
@pytest.mark.parametrize("first", ["silent", "silent, local"])
def test_a_repository_that_never_answers_does_not_keep_the_server_from_stopping(ws, silent, first):
    """The push fails by its own time-out, the server stops, and the other repository has the WAL."""
    server, backstay = ws.pair(wal_segsize_mb=1)
    credentials = ws.path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    credentials.chmod(0o600)
    place.give_to_owner(credentials)
    server.script("CREATE TABLE t (id int)")
    server.archive_all()
    backstay.write_config(SILENT.format(
        repository=backstay.repository, key_file=backstay.key_file, port=silent, first=first,
        credentials=credentials, connection=server.conninfo(), data=server.data))
    server.script("INSERT INTO t VALUES (1)", "SELECT pg_switch_wal()")
    wait_for("the archiver to fail",
             lambda: server.value("SELECT failed_count FROM pg_stat_archiver") > 0)
    assert "is not archived: nothing has moved" in server.log_tail()
    ready = server.value("SELECT last_failed_wal FROM pg_stat_archiver")
    server.stop()
    assert server.pid() is None and "database system is shut down" in server.log_tail()
    if "local" in first:
        assert ready in [path.name for path in backstay.objects("orders/wal")]


def failing(server, command="/bin/false"):
    server.configure({"archive_command": command})
    server.script("SELECT pg_reload_conf()")
    wait_for("the new archive_command",
             lambda: server.value("SHOW archive_command") == command)


class Failover:
    """A primary that stops archiving, and its streaming standby, promoted after it has died."""

    def __init__(self, ws, command, back_up=True):
        self.server, self.backstay = ws.pair("old", wal_segsize_mb=1,
                                             settings={"wal_keep_size": "64MB"})
        self.server.script("CREATE TABLE t (id int)")
        self.server.archive_all()
        if back_up:
            self.backstay.backup()
        self.standby = ws.server("new")
        self.server.program("pg_basebackup", "-R", "-X", "stream", "-c", "fast", "-D",
                            self.standby.data, "-d", self.server.conninfo())
        self.standby.start({"primary_conninfo": f"'{self.server.conninfo()}'"})
        self.rows = 0
        failing(self.server, command)
        for _ in range(5):
            self.write(self.server)
        wait_for("the standby", lambda: self.standby.value(
            "SELECT pg_last_wal_replay_lsn() >= %s", self.last))
        self.missing = self.not_archived(1)
        self.server.stop("immediate")

    def write(self, server):
        self.rows += 1
        server.script(f"INSERT INTO t VALUES ({self.rows})", "SELECT pg_switch_wal()")
        self.last = server.value("SELECT pg_current_wal_lsn()::text")

    def archived(self):
        return {path.name for path in self.backstay.objects("orders/wal")}

    def not_archived(self, timeline):
        """Segments of pg_wal that are complete and not in the archive."""
        current = self.server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
        names = {path.name for path in (self.server.data / "pg_wal").iterdir()
                 if len(path.name) == 24 and path.name < current
                 and path.name.startswith(f"{timeline:08X}")}
        return names - self.archived()

    def promote(self):
        self.standby.script("SELECT pg_promote()")
        self.write(self.standby)
        self.standby.archive_all()


def test_a_new_primary_archives_what_only_was_streamed(ws):
    """Its first wal push of the new timeline closes the gap: everything can be recovered."""
    case = Failover(ws, "/bin/false")
    assert len(case.missing) >= 3
    streamed = case.standby.data / "pg_wal" / "archive_status"
    assert all((streamed / f"{name}.done").exists() for name in case.missing)
    case.promote()
    assert case.missing <= case.archived() and "00000002.history" in case.archived()
    case.backstay.restore(ws.path / "copy", "--no-archive")
    copy = ws.restored("copy").start_restored()
    assert copy.value("SELECT count(*) FROM t") == case.rows
    case.standby.stop()


@pytest.mark.parametrize("stop_first", [False, True])
def test_a_backup_archives_what_nobody_did(ws, stop_first):
    """WAL and a history that an archive_command threw away, before the fork and behind it."""
    case = Failover(ws, "/bin/true")
    failing(case.standby, "/bin/true")
    case.promote()
    lost = case.missing | {"00000002.history"}
    assert len(lost) >= 4 and not lost & case.archived()
    failing(case.standby, case.backstay.archive_command())
    if stop_first:
        case.write(case.standby)
        case.standby.archive_all()
    case.backstay.edit_config(case.server.conninfo(), case.standby.conninfo())
    case.backstay.edit_config(f"data: {case.server.data}\n", f"data: {case.standby.data}\n")
    result = case.backstay.attempt("-q", "backup", "orders", "--json")
    assert result.status == 0, result
    assert "found in" in result.stderr and "archived" in result.stderr, result
    assert lost <= case.archived()
    second = case.backstay.attempt("-q", "backup", "orders", "--json")
    assert second.status == 0 and second.stderr == "", second
    first, *_ = case.backstay.complete()
    case.backstay.restore(ws.path / "copy", "--no-archive", "--snapshot", first)
    copy = ws.restored("copy").start_restored()
    assert copy.value("SELECT count(*) FROM t") == case.rows
    case.standby.stop()


def test_only_what_is_in_no_place_stays_a_gap(ws):
    """A segment that the new primary has no more, or not whole, is not archived; the others are."""
    case = Failover(ws, "/bin/false")
    gone, torn, *rest = sorted(case.missing)
    wal = case.standby.data / "pg_wal"
    (wal / gone).unlink()
    content = (wal / torn).read_bytes()
    (wal / torn).write_bytes(content[:40] + bytes(len(content) - 40))
    case.promote()
    assert {gone, torn} & case.archived() == set()
    assert set(rest) <= case.archived()
    assert f"{torn} is missing in the archive" in case.standby.log.read_text()
    case.standby.stop()
