"""A PostgreSQL cluster of the bench: created, started, asked and stopped."""
import glob
import os
import subprocess
import time

SETTINGS = {
    "listen_addresses": "''",
    "fsync": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "max_wal_senders": "5",
    "archive_mode": "on",
    "archive_command": "'/bin/true'",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "autovacuum": "off",
    "max_locks_per_transaction": "256",
    "log_min_messages": "fatal",
}
LOADING = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "archive_mode": "off",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "256MB",
}


class Cluster:
    def __init__(self, name, home, bin_dir, port):
        self.name = name
        self.data = os.path.join(home, name)
        self.socket = os.path.join(home, "socket")
        self.log = os.path.join(home, "log", f"{name}.log")
        self.port = port
        self._bin = bin_dir
        self._running = False

    def create(self):
        self.tool("initdb", "-k", "-A", "trust", "-E", "UTF8", "--locale=C", "-D", self.data)

    def start(self, loading=False):
        if self._running:
            return
        settings = dict(SETTINGS, **(LOADING if loading else {}))
        settings.update(unix_socket_directories=f"'{self.socket}'", port=str(self.port))
        with open(os.path.join(self.data, "bench.conf"), "w") as conf:
            conf.writelines(f"{key} = {value}\n" for key, value in settings.items())
        self._include_settings()
        self.tool("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", "120", "start")
        self._running = True

    def _include_settings(self):
        path = os.path.join(self.data, "postgresql.conf")
        line = "include = 'bench.conf'\n"
        with open(path, "r+") as conf:
            if line not in conf.readlines():
                conf.write(line)

    def stop(self):
        if self._running:
            self.sql("ALTER SYSTEM RESET ALL")
            self.tool("pg_ctl", "-D", self.data, "-w", "-t", "120", "-m", "fast", "stop")
            self._running = False

    def kill(self):
        """Ends the server whatever its state; for the way out."""
        if self._running:
            subprocess.run([os.path.join(self._bin, "pg_ctl"), "-D", self.data, "-m", "immediate",
                            "-w", "stop"], check=False, capture_output=True)
            self._running = False

    def tool(self, program, *arguments):
        """Runs a program of this PostgreSQL and returns what it printed."""
        done = subprocess.run([os.path.join(self._bin, program), *arguments], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}")
        return done.stdout

    def client(self, program, *arguments):
        return [os.path.join(self._bin, program), "-h", self.socket, "-p", str(self.port), *arguments]

    def sql(self, statement, database="postgres"):
        done = subprocess.run(self.client("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database),
                              input=statement, text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"psql failed: {done.stderr}")
        return done.stdout.strip()

    def archive_with(self, command):
        """Makes `command` the archive_command and waits until all that is ready went through it,
        so that no backup pays for the WAL of the one before."""
        quoted = command.replace("'", "''")
        self.sql(f"ALTER SYSTEM SET archive_command = '{quoted}'")
        self.sql("SELECT pg_reload_conf(); CHECKPOINT; SELECT pg_switch_wal()")
        deadline = time.monotonic() + 120
        while glob.glob(os.path.join(self.data, "pg_wal/archive_status/*.ready")):
            if time.monotonic() > deadline:
                raise RuntimeError(f"archive_command does not succeed: {command} (see {self.log})")
            time.sleep(0.05)

    def bytes(self):
        """What there is to back up: all but the WAL, which no program copies from here."""
        return tree_bytes(self.data) - tree_bytes(os.path.join(self.data, "pg_wal"))

    def files(self):
        return sum(len(names) for directory, _, names in os.walk(self.data)
                   if "/pg_wal" not in directory)


def tree_bytes(path):
    return sum(os.lstat(os.path.join(directory, name)).st_size
               for directory, _, names in os.walk(path) for name in names)


def warm(path):
    """Reads every file once, so that each contender finds the page cache alike."""
    block = bytearray(1 << 20)
    for directory, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(directory, name), "rb", buffering=0) as file:
                while file.readinto(block):
                    pass
