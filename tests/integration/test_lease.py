"""One writer a source."""
import datetime
import re
import signal

from backstay import interrupt
from pgserver import wait_for


def slow_backup(backstay, *options):
    """A running backup that takes its time, with the lease in its hands."""
    process = backstay.start("backup", "orders", "--max-rate", "2MiB", *options)
    wait_for("the backup to hold the lease", lambda: backstay.status()["lease"] is not None)
    return process


def test_the_second_of_two_backups_exits_four(ws):
    """Two backups of one source at once: the second exits 4. A dead holder's lease runs out."""
    server, backstay = ws.pair()
    first = slow_backup(backstay)
    backstay.fails(4, "orders", "backup", "orders")
    assert first.poll() is None, "the first backup must not suffer"
    lease = backstay.status()["lease"]
    assert lease["holder"]
    interrupt(first)
    backstay.finish(first)
    expires = datetime.datetime.fromisoformat(lease["expires"].replace("Z", "+00:00"))
    left = (expires - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    wait_for("the dead holder's lease to run out",
             lambda: backstay.attempt("backup", "orders").status == 0, seconds=max(left, 0) + 60)
    server.assert_out_of_backup_mode()
    assert backstay.status()["lease"] is None
    assert len(backstay.complete()) == 1


def test_break_lease_takes_over_and_the_first_notices(ws):
    """A writer checks the lease before it puts its manifest; --break-lease exists."""
    server, backstay = ws.pair()
    first = slow_backup(backstay)
    taken = backstay.backup("--break-lease")
    result = backstay.finish(first)
    assert result.status == 1, result
    assert re.search("lease of source .* was taken over by another process.*run the command again",
                     result.stderr), result
    assert backstay.complete() == [taken["snapshot"]]
    server.assert_out_of_backup_mode()


def test_a_cancelled_backup_gives_the_lease_back(ws):
    server, backstay = ws.pair()
    first = slow_backup(backstay)
    interrupt(first, signal.SIGINT)
    assert backstay.finish(first).status == 1
    assert backstay.status()["lease"] is None
    backstay.backup()
    server.assert_out_of_backup_mode()
