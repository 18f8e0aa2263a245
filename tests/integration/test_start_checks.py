"""What `restore --start` asks before it touches anything, and a server that speaks German."""
import contextlib
import shutil
import socket

import pytest

import place

FIVE = ["max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions",
        "max_locks_per_transaction"]


@pytest.fixture(scope="module")
def scene(shared):
    """A running server with one snapshot."""
    server, backstay = shared.pair(wal_segsize_mb=1, settings={
        "max_prepared_transactions": "7", "max_worker_processes": "9",
        "max_locks_per_transaction": "70"})
    server.make_markers()
    server.mark("one")
    server.archive_all()
    backstay.backup()
    return server, backstay


def refused(backstay, target, pattern, *options):
    """--start is refused, and the destination is as it was: not there."""
    backstay.fails(1, "nothing was changed; --start would fail: .*" + pattern, "restore", "orders",
                   "--to", target, "--start", *options)
    assert not target.exists()


def conf_with(shared, server, name, **settings):
    """A configuration file outside of any data directory."""
    path = shared.path / f"{name}.conf"
    text = (server.data / "postgresql.conf").read_text().replace("include_dir 'conf.d'\n", "")
    path.write_text(text + "".join(f"{key} = '{value}'\n" for key, value in settings.items())
                    + f"hba_file = '{server.data}/pg_hba.conf'\n"
                    + f"ident_file = '{server.data}/pg_ident.conf'\n")
    return place.give_to_owner(path)


def program_that(directory, script):
    path = directory / "postgres"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    place.give_to_owner(path)
    return directory


def test_the_program(shared, scene):
    server, backstay = scene
    target = shared.path / "program"
    other = program_that(shared.directory("other"), "echo 'postgres (PostgreSQL) 12.4'")
    refused(backstay, target, f"must be of PostgreSQL {server.version}, but is of 12", "--pg-bin", other)
    broken = program_that(shared.directory("broken"), "exit 127")
    refused(backstay, target, "cannot be run, or is not a PostgreSQL server", "--pg-bin", broken)
    refused(backstay, target, "there is no program", "--pg-bin", shared.directory("nothing"))


def test_the_port(shared, scene):
    server, backstay = scene
    target = shared.path / "port"
    refused(backstay, target, f"port {server.port} is in use .*--pg-port")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = conf_with(shared, server, "tcp", listen_addresses="127.0.0.1")
        refused(backstay, target, f"port {port} is in use .127.0.0.1.*--pg-port", "--pg-config",
                config, "--pg-port", port)
    config = conf_with(shared, server, "sockets", unix_socket_directories="/nowhere/at/all")
    refused(backstay, target, "unix_socket_directories names \"/nowhere/at/all\"", "--pg-config",
            config, "--pg-port", "5999")


def test_the_configuration(shared, scene):
    server, backstay = scene
    target = shared.path / "config"
    refused(backstay, target, "--pg-config: there is no file", "--pg-config", "/nowhere.conf")
    config = conf_with(shared, server, "wrong", no_such_setting="on")
    refused(backstay, target, "wrong.conf cannot be used: .*no_such_setting", "--pg-config", config)


@pytest.mark.parametrize("name", FIVE)
def test_a_setting_that_is_less_than_it_was(shared, scene, name):
    server, backstay = scene
    least = int(server.value("SELECT setting FROM pg_settings WHERE name = %s", name))
    config = conf_with(shared, server, f"less-{name}", **{name: least - 1})
    refused(backstay, shared.path / f"to-{name}",
            f"{name} is {least - 1} by .*at least {least}", "--pg-config", config, "--pg-port",
            "5999")


def test_a_setting_of_the_snapshot_that_waits_for_a_restart(shared, scene):
    """The server runs with the old value, which pg_control has; its file has the next one. Without
    hot standby recovery does not ask."""
    server, backstay = scene
    server.script("ALTER SYSTEM SET max_connections = 39")
    backstay.backup()
    refused(backstay, shared.path / "less", "max_connections is 39 in the snapshot's configuration.*at least"
            " 40.*postgresql.auto.conf", "--pg-port", "5999")
    server.script("ALTER SYSTEM SET hot_standby = off")
    backstay.backup()
    copy = shared.restored("not-hot")
    report = backstay.restore(copy.data, "--start", "--pg-port", copy.port, "--no-archive")
    assert report["reached"]["takes_writes"], report
    copy.stop()
    server.script("ALTER SYSTEM RESET ALL")
    backstay.backup()


def test_included_files_of_the_snapshot_count(shared, scene):
    server, backstay = scene
    directory = server.data / "conf.d"
    place.make_directory(directory)
    (directory / "one.conf").write_text("max_connections = 38\n")
    place.give_to_owner(directory / "one.conf")
    with open(server.data / "postgresql.conf", "a", encoding="utf-8") as conf:
        conf.write("include_dir 'conf.d'\n")
    backstay.backup()
    refused(backstay, shared.path / "included", "max_connections is 38 .*at least 40", "--pg-port",
            "5999")
    (directory / "one.conf").write_text("")
    backstay.backup()


@contextlib.contextmanager
def clusters_of_debian(*names):
    """Configurations where Debian has them."""
    top = place.Path("/etc/postgresql/15")
    made = [top / name for name in names]
    for path in made:
        path.mkdir(parents=True)
        path.chmod(0o755)
    try:
        yield made
    finally:
        for path in made:
            shutil.rmtree(path)


@pytest.mark.once
@pytest.mark.skipif(not place.IS_ROOT, reason="only root has /etc")
def test_a_configuration_outside_is_found_when_it_is_the_only_one(shared):
    server, backstay = shared.pair("outside", wal_segsize_mb=1)
    server.stop()
    text = (server.data / "postgresql.conf").read_text()
    (server.data / "postgresql.conf").unlink()
    pid_file = shared.path / "outside.pid"
    with clusters_of_debian("backstay-one", "backstay-two") as (one, two):
        for path, directory in ((one, server.data), (two, "/somewhere/else")):
            (path / "postgresql.conf").write_text(
                f"{text}data_directory = '{directory}'\nexternal_pid_file = '{pid_file}'\n"
                f"hba_file = '{server.data}/pg_hba.conf'\n"
                f"ident_file = '{server.data}/pg_ident.conf'\n")
        server.start({"config_file": one / "postgresql.conf"})
        server.make_markers()
        server.mark("one")
        server.archive_all()
        backstay.backup()
        before = pid_file.read_text()
        copy = shared.restored("outside-copy")
        # Of several, the one that was written for the source's directory.
        result = backstay.run("restore", "orders", "--to", copy.data, "--start", "--pg-port",
                              copy.port, "--no-archive")
        assert f"configuration  {one}/postgresql.conf" in result.stdout, result
        assert copy.pid() is not None and pid_file.read_text() == before
        place.run_as_owner([place.PG_BIN / "pg_ctl", "-D", copy.data, "-m", "immediate", "stop"],
                           shared.path)
        (one / "postgresql.conf").unlink()
        (one / "postgresql.conf").write_text(text)
        refused(backstay, shared.path / "many", f"--pg-config .{one}/.* or {two}/", "--pg-port",
                "5999")
    server.stop("immediate")


@pytest.mark.once
def test_a_server_that_speaks_german(shared, scene):
    """What its log says is read, so it speaks English while we listen."""
    server, backstay = scene
    locales = shared.directory("locales")
    place.run_as_owner(["localedef", "--no-archive", "-i", "de_DE", "-f", "UTF-8",
                        locales / "de_DE.UTF-8"], shared.path)
    server.configure({"lc_messages": "de_DE.UTF-8"})
    backstay.backup()
    marker = server.mark("german")
    server.archive_all()
    german = {"LOCPATH": str(locales), "LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"}
    # That it would speak German otherwise:
    said = place.run_as_owner([place.PG_BIN / "postgres", "-D", "/nowhere"], shared.path, german,
                              check=False)
    assert "existiert nicht" in said.stderr or "nicht gefunden" in said.stderr \
        or "konnte nicht" in said.stderr, said
    copy = shared.restored("german")
    report = backstay.restore(copy.data, "--at", f"xid:{marker.xid}", "--action", "shutdown",
                              "--start", "--pg-port", copy.port, "--no-archive", env=german)
    log = (copy.data / "startup.log").read_text()
    assert report["reached"]["time"] and report["reached"]["pid"] == 0, (report, log)
    assert "recovery stopping after commit" in log and "Wiederherstellung" not in log, log
    # A start that fails is told in English, too.
    failed = shared.restored("german-failed")
    result = backstay.attempt("restore", "orders", "--to", failed.data, "--at", f"xid:{marker.xid}",
                              "--start", "--pg-port", failed.port, "--no-archive",
                              "--pg-config", conf_with(shared, server, "bad",
                                                       shared_preload_libraries="nonsense"),
                              env=german)
    assert result.status == 1 and "could not access file" in result.stderr, result
