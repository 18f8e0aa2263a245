"""A database that is being dropped, held in the middle of it."""
import contextlib
import os
import signal
import threading

from pgserver import wait_for


@contextlib.contextmanager
def held_within_drop(server, goes_on=False):
    """Drops the database "doomed". The checkpointer stands still after the database was marked, before
    its files go; or the session that drops does, and the checkpointer `goes_on`."""
    pid = server.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    os.kill(pid, signal.SIGSTOP)
    try:
        thread = threading.Thread(target=server.script, args=("DROP DATABASE doomed",))
        thread.start()
        wait_for("the mark", lambda: server.value(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DROP DATABASE d%%'"
            " AND wait_event LIKE 'Checkpoint%%'") == 1)
        if goes_on:
            session = server.value("SELECT pid FROM pg_stat_activity"
                                   " WHERE query LIKE 'DROP DATABASE d%%'")
            os.kill(session, signal.SIGSTOP)
            os.kill(pid, signal.SIGCONT)
            pid = session
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
    thread.join()
