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
    "000000010000000000000007": (bytes(1 << 20), "nothing but zeros"),
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
