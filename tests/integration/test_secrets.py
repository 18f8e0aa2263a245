"""Secrets: none in the process list, the log, errors or --json."""
import base64
import threading
from pathlib import Path

import pytest

import place

PASSWORD = "s3cret-Pa55word-of-bk"


class ProcessList(threading.Thread):
    """Every command line of the machine, sampled until it is told to stop."""

    def __init__(self):
        super().__init__()
        self.seen = set()
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.005):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


@pytest.fixture(scope="module")
def guarded(shared):
    """A server that asks for a password, which stands in a password file."""
    server, backstay = shared.pair()
    server.script("SET password_encryption = 'scram-sha-256'",  # not the default in 13
                  f"CREATE ROLE keeper SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    hba = server.data / "pg_hba.conf"
    hba.write_text("local all keeper scram-sha-256\nlocal all all trust\n")
    server.rows("SELECT pg_reload_conf()")
    passfile = shared.path / "passfile"
    passfile.write_text(f"*:*:*:keeper:{PASSWORD}\n")
    passfile.chmod(0o600)
    place.give_to_owner(passfile)
    backstay.edit_config("user=postgres", "user=keeper")
    backstay.extra_env = {"PGPASSFILE": str(passfile)}
    return server, backstay


def secret_forms(backstay):
    """The password and the key file's content, in every form in which they could slip out."""
    text = backstay.key_file.read_bytes()
    forms = {PASSWORD.encode(), text.strip()}
    forms.update(line.strip() for line in text.splitlines() if not line.startswith(b"#"))
    for line in list(forms):
        for word in line.split():
            forms.add(word)
            for decode in (bytes.fromhex, base64.b64decode):
                try:
                    key = decode(word.decode())
                except (ValueError, UnicodeDecodeError):
                    continue
                if len(key) >= 16:
                    forms.update({key, key.hex().encode(), key.hex().upper().encode(),
                                  base64.b64encode(key)})
    return {form for form in forms if len(form) >= 16}


def test_no_secret_slips_out(guarded, shared):
    server, backstay = guarded
    said = []
    with ProcessList() as processes:
        for args in (("init",), ("backup", "orders"), ("backup", "orders"), ("list",), ("status",),
                     ("restore", "orders", "--to", shared.path / "back"),
                     ("restore", "orders", "--to", shared.path / "back")):
            for result in (backstay.attempt("-vv", *args, "--json"),):
                said += [result.stdout.encode(), result.stderr.encode()]
                assert result.status == 0 or args[0] != "backup", result
        server.archive_all()
        backstay.attempt("-vv", "wal", "fetch", "orders", "00000009.history", shared.path / "x")
    said += processes.seen
    said += [path.read_bytes() for path in (shared.path / "back").glob("*.conf")]
    said.append(server.log.read_bytes())
    forms = secret_forms(backstay)
    assert len(forms) >= 2, "the key file's form is not understood by this test"
    for form in forms:
        leaks = [text[:300] for text in said if form in text]
        assert not leaks, f"{form!r} slipped out in {leaks}"


def test_a_wrong_password_is_not_repeated(guarded, shared):
    """Errors of the connection do not hold the password."""
    _, backstay = guarded
    wrong = shared.path / "wrong"
    wrong.write_text("*:*:*:keeper:Wr0ng-Pa55word\n")
    wrong.chmod(0o600)
    place.give_to_owner(wrong)
    result = backstay.fails(1, "password authentication failed", "-vv", "backup", "orders",
                            env={"PGPASSFILE": str(wrong)})
    assert "Wr0ng-Pa55word" not in result.stdout + result.stderr


def test_a_password_in_the_configuration_is_refused(guarded, shared):
    """Secrets are never taken from the configuration's text, and the refusal does not show it."""
    server, _ = guarded
    for form in (f"{server.conninfo()} password={PASSWORD}",
                 f"postgresql://keeper:{PASSWORD}@localhost/postgres",
                 f"postgresql://localhost/postgres?user=keeper&password={PASSWORD}"):
        backstay = shared.backstay(server, name="withpass")
        backstay.edit_config(server.conninfo(), form)
        result = backstay.fails(2, "pass", "status")
        assert PASSWORD not in result.stderr


def test_repository_holds_no_clear_text(guarded, shared):
    """"Encrypted" is asserted from bytes."""
    server, backstay = guarded
    word = "needle-in-the-database"
    server.script(f"CREATE TABLE clear AS SELECT '{word}'::text AS t FROM generate_series(1, 100)",
                  "CHECKPOINT")
    backstay.run("backup", "orders", "--compress", "none")
    server.archive_all()
    assert any(word.encode() in path.read_bytes() for path in (server.data / "base").rglob("*")
               if path.is_file())
    for path in backstay.objects("."):
        data = path.read_bytes()
        assert word.encode() not in data and b"pg_control" not in data, path
