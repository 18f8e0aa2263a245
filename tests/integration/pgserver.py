"""A real PostgreSQL server in a directory of its own, driven as an operator would."""
import contextlib
import dataclasses
import os
import signal
import subprocess
import time
from pathlib import Path

import psycopg2

import place
import template

SETTINGS = """
listen_addresses = ''
port = {port}
unix_socket_directories = '{sockets}'
shared_buffers = 32MB
max_connections = 40
max_wal_senders = 4
wal_level = replica
fsync = off
full_page_writes = on
track_commit_timestamp = on
autovacuum = off
timezone = 'UTC'
archive_mode = on
archive_timeout = 0
"""


@dataclasses.dataclass
class Marker:
    """One committed row, and every name by which its moment can be told."""
    note: str
    xid: int
    commit_time: str      # exactly the time in its commit record
    before_commit: str    # LSN at which nothing but its commit record is still to come
    lsn: str              # LSN after its commit
    time: str             # a moment after its commit and before the next marker's


def wait_for(what, condition, seconds=60):
    """Waits until `condition()` is true. A bound on hanging, not a promise about speed."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def lsn_to_int(lsn):
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def segment_name(lsn, timeline=1, size=1 << 20):
    """Of the WAL segment that holds this position."""
    high, low = lsn.split("/")
    return f"{timeline:08X}{int(high, 16):08X}{int(low, 16) // size:08X}"


class PgServer:
    """`data` either does not exist yet (create it with init) or holds a restored directory."""

    def __init__(self, home, name, port=5432, programs=None):
        self.programs = programs or place.PG_BIN
        self.home = Path(home)
        self.name = name
        self.port = port
        self.data = self.home / name
        self.sockets = self.home / f"{name}.s"
        self.log = self.home / f"{name}.log"
        self._benches = []
        if not self.sockets.exists():
            place.make_directory(self.sockets)

    def program(self, name, *args, check=True, extra=None):
        return place.run_as_owner([self.programs / name, *args], self.home, extra, check)

    # --- life -------------------------------------------------------------------------------

    def init(self, checksums=True, wal_segsize_mb=1, settings=None):
        flags = [f"--wal-segsize={wal_segsize_mb}"]
        if checksums:
            flags.append("--data-checksums")
        elif self.major_of_programs() >= 18:
            flags.append("--no-data-checksums")
        template.make_cluster(self.programs, flags, self.data)
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(SETTINGS.format(port=self.port, sockets=self.sockets))
        self.configure(settings or {})
        return self

    def configure(self, settings):
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            for key, value in settings.items():
                conf.write(f"{key} = '{value}'\n")

    def major_of_programs(self):
        return int(self.program("postgres", "--version").stdout.split()[2].split(".")[0]
                   .rstrip("devlbtarc"))

    def start(self, settings=None, wait=True):
        """Port and sockets are given here, so that a restored directory does not meet the server
        that it was copied from."""
        options = {"port": self.port, "unix_socket_directories": self.sockets, **(settings or {})}
        text = " ".join(f"-c {key}={value}" for key, value in options.items())
        result = self.program("pg_ctl", "-D", self.data, "-l", self.log, "-t", "60",
                              "-w" if wait else "-W", "-o", text, "start", check=False)
        assert result.returncode == 0, f"server {self.name}: {result.stderr}{self.log_tail()}"
        return self

    def start_restored(self, settings=None):
        """Starts a restored directory that must not archive into the repository it came from,
        and waits until it is out of recovery. Recovery waits for a query that it conflicts with,
        instead of cancelling the one that asks whether it has ended."""
        self.start({"archive_mode": "off", "max_standby_archive_delay": "-1", **(settings or {})})
        wait_for(f"the end of recovery of {self.name}",
                 lambda: not self.value("SELECT pg_is_in_recovery()"), seconds=900)
        return self

    def stop(self, mode="fast"):
        for bench in self._benches:
            bench.kill()
            bench.wait()
        self._benches.clear()
        if self.pid() is not None:
            self.program("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", "60", "stop",
                         check=False)
            if self.pid() is not None:
                self.kill()

    def kill(self):
        """kill -9 of the whole server: a crash."""
        pid = self.pid()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(pid, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        # Until it is reaped its process id still counts as a running server to the next one.
        wait_for("the killed server to be gone", lambda: not Path(f"/proc/{pid}").exists())

    def wait_ended(self):
        """Waits until a server that was started is down again by itself."""
        wait_for(f"server {self.name} to end by itself ({self.log_tail()})",
                 lambda: self.log.exists()
                 and "database system is shut down" in self.log_tail()
                 and not (self.data / "postmaster.pid").exists())

    def pid(self):
        """Process id of the running server, or None."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            return None if state == "Z" else pid
        except (OSError, ValueError, IndexError):
            return None

    def log_tail(self, lines=25):
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # --- questions --------------------------------------------------------------------------

    def conninfo(self, user="postgres", dbname="postgres"):
        return f"host={self.sockets} port={self.port} user={user} dbname={dbname}"

    @contextlib.contextmanager
    def session(self, dbname="postgres"):
        connection = psycopg2.connect(self.conninfo(dbname=dbname))
        connection.autocommit = True
        try:
            yield connection.cursor()
        finally:
            connection.close()

    def rows(self, sql, *args, dbname="postgres"):
        with self.session(dbname) as cursor:
            cursor.execute(sql, args or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql, *args, dbname="postgres"):
        rows = self.rows(sql, *args, dbname=dbname)
        return rows[0][0] if rows else None

    def script(self, *statements, dbname="postgres"):
        with self.session(dbname) as cursor:
            for statement in statements:
                cursor.execute(statement)

    @property
    def version(self):
        return int(self.value("SHOW server_version_num")) // 10000

    def databases(self):
        return [row[0] for row in self.rows(
            "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")]

    # --- moments ----------------------------------------------------------------------------

    def make_markers(self):
        self.script("CREATE TABLE markers (id serial PRIMARY KEY, note text UNIQUE)")

    def mark(self, note):
        connection = psycopg2.connect(self.conninfo())
        try:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO markers (note) VALUES (%s)", (note,))
                cursor.execute("SELECT txid_current(), pg_current_wal_insert_lsn()::text")
                xid, before_commit = cursor.fetchone()
                connection.commit()
                cursor.execute(
                    "SELECT pg_xact_commit_timestamp(%s::text::xid)::text,"
                    " pg_current_wal_insert_lsn()::text, clock_timestamp()::text", (xid,))
                commit_time, lsn, moment = cursor.fetchone()
                connection.commit()
        finally:
            connection.close()
        time.sleep(0.02)
        return Marker(note, xid, commit_time, before_commit, lsn, moment)

    def markers(self):
        return [row[0] for row in self.rows("SELECT note FROM markers ORDER BY id")]

    def restore_point(self, name):
        self.rows("SELECT pg_create_restore_point(%s)", name)

    def archive_all(self):
        """Ends the open WAL segment and waits until the archiver has taken every ready one."""
        self.rows("SELECT pg_switch_wal()")
        status = self.data / "pg_wal" / "archive_status"
        wait_for(f"the archiver ({self.log_tail(5)})",
                 lambda: not list(status.glob("*.ready")), seconds=120)

    # --- load and checks --------------------------------------------------------------------

    def bench_init(self, scale=1):
        self.program("pgbench", "-i", "-q", "-s", str(scale), *self._bench_target())

    def bench_start(self, clients=2, rate=300):
        argv = [self.programs / "pgbench", "-n", "-T", "600", "-c", str(clients), "-R", str(rate),
                *self._bench_target()]
        bench = subprocess.Popen(place.as_owner(argv), env=place.environment(self.home), cwd="/",
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._benches.append(bench)
        wait_for("pgbench to write", lambda: self.value("SELECT count(*) FROM pgbench_history") > 0)

    def bench_stop(self):
        for bench in self._benches:
            bench.terminate()
            bench.wait()
        self._benches.clear()
        wait_for("pgbench's sessions to end", lambda: self.client_sessions() == 0)

    def _bench_target(self):
        return ["-h", str(self.sockets), "-p", str(self.port), "-U", "postgres", "postgres"]

    def bench_totals(self):
        """(history rows, four sums that pgbench keeps equal in every transaction)."""
        return self.rows(
            "SELECT (SELECT count(*) FROM pgbench_history),"
            " (SELECT coalesce(sum(delta), 0) FROM pgbench_history),"
            " (SELECT sum(abalance) FROM pgbench_accounts),"
            " (SELECT sum(tbalance) FROM pgbench_tellers),"
            " (SELECT sum(bbalance) FROM pgbench_branches)")[0]

    def client_sessions(self):
        return self.value("SELECT count(*) FROM pg_stat_activity"
                          " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")

    def settle(self):
        """Leaves nothing to be written: frozen rows need no hint bits, and all is on disk."""
        for name in self.databases():
            self.script("VACUUM (FREEZE)", dbname=name)
        self.script("CHECKPOINT")

    def amcheck(self, toast=True):
        """Every B-tree against its heap, and every heap where the version's pg_amcheck can. Without
        `toast` for servers with a past: a dead row whose toasted value was vacuumed away already
        looks like damage to pg_amcheck, on the source as well as on its copy."""
        if (place.PG_BIN / "pg_amcheck").exists() or place.CHROOT and Path(
                place.CHROOT + str(place.PG_BIN) + "/pg_amcheck").exists():
            options = [] if toast else ["--exclude-toast-pointers"]
            self.program("pg_amcheck", "--all", "--install-missing", "--heapallindexed", *options,
                         "-h", self.sockets, "-p", str(self.port), "-U", "postgres")
            return
        for name in self.databases():
            self.script("CREATE EXTENSION IF NOT EXISTS amcheck",
                        "SELECT bt_index_check(i.indexrelid, true) FROM pg_index i"
                        " JOIN pg_class c ON c.oid = i.indexrelid"
                        " JOIN pg_am a ON a.oid = c.relam"
                        " WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p'"
                        " AND i.indisready AND i.indisvalid", dbname=name)

    def assert_out_of_backup_mode(self):
        """No session of a backup is left, no label in the data directory, and another backup can
        start and stop at once."""
        wait_for("the backup's session to end", lambda: self.client_sessions() == 0)
        assert not (self.data / "backup_label").exists()
        with self.session() as cursor:
            if self.version >= 15:
                cursor.execute("SELECT pg_backup_start('probe', true)")
                cursor.execute("SELECT lsn FROM pg_backup_stop(false)")
            else:
                cursor.execute("SELECT pg_is_in_backup()")
                assert cursor.fetchone() == (False,)
                cursor.execute("SELECT pg_start_backup('probe', true, false)")
                cursor.execute("SELECT lsn FROM pg_stop_backup(false, false)")
