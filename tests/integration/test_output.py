"""What commands print, and what happens when it cannot be written."""
import os
import subprocess

import pytest

import place


@pytest.fixture(scope="module")
def pair(shared):
    server, backstay = shared.pair(wal_segsize_mb=1)
    server.script("CREATE TABLE t (id int)")
    server.archive_all()
    backstay.backup()
    return server, backstay


def run_into(backstay, target, *args):
    """Runs with standard output on `target`: a path, "pipe" (whose reader is gone) or "closed"."""
    argv = place.as_owner([backstay.binary, *backstay.argv(args)[1:]])
    options = {"cwd": "/", "text": True, "stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE,
               "env": place.environment(backstay.home), "check": False, "timeout": 300}
    if target == "closed":
        return subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *argv], **options)
    if target != "pipe":
        with open(target, "w", encoding="utf-8") as stdout:
            return subprocess.run(argv, stdout=stdout, **options)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(argv, stdout=writer, **options)
    finally:
        os.close(writer)


LOSSES = {"/dev/full": "No space left on device", "pipe": "Broken pipe",
          "closed": "Bad file descriptor"}


@pytest.mark.once
@pytest.mark.parametrize("target", LOSSES)
def test_a_job_whose_report_is_lost_is_done(pair, target):
    """The result stands: exit status 0, one warning with the right cause, nothing to be run again."""
    _, backstay = pair
    before = len(backstay.complete())
    result = run_into(backstay, target, "-q", "backup", "orders", "--json")
    assert result.returncode == 0, result
    line, = result.stderr.splitlines()
    assert line.startswith("backstay: warning: the report could not be written"), line
    assert LOSSES[target] in line and "need not be run again" in line, line
    assert len(backstay.complete()) == before + 1


@pytest.mark.once
@pytest.mark.parametrize("target", LOSSES)
def test_a_list_that_is_lost_is_a_failure(pair, target):
    _, backstay = pair
    for args in (("list", "orders"), ("status", "orders", "--json"), ("--help",),
                 ("restore", "orders", "--to", backstay.home / "nowhere", "--dry-run", "-q")):
        result = run_into(backstay, target, *args)
        assert result.returncode == 1, (args, result)
        line, = result.stderr.splitlines()
        assert LOSSES[target] in line, line


@pytest.mark.once
def test_quiet_says_nothing_on_success(pair, shared):
    """As cron needs it; what is wrong is still said."""
    server, backstay = pair
    for args in (("init",), ("backup", "orders"), ("status", "orders"), ("repo", "check", "local"),
                 ("restore", "orders", "--to", shared.path / "quiet")):
        result = backstay.run("-q", *args)
        assert result.stdout == "" and result.stderr == "", result
    assert backstay.run("-q", "list", "orders").stdout
    assert backstay.run("-q", "backup", "orders", "--json").json()["snapshot"]
    newest = backstay.complete()[-1]
    manifest, = [path for path in backstay.objects("orders/snapshots") if path.name == newest]
    away = manifest.rename(backstay.home / newest)
    result = backstay.attempt("-q", "status", "orders")
    assert result.status == 1 and newest in result.stdout, result
    away.rename(manifest)
