"""The programs that are compared, behind one interface: each knows how to empty and prepare its
repository, and the commands for a backup, a restore, a push and a fetch."""
import json
import os
import shutil
import subprocess

from cluster import tree_bytes

WORKERS = 2


class Contender:
    """`home` holds the repository, the configuration and everything else that it writes."""

    def __init__(self, label, home):
        self.label = label
        self.home = home
        self.repository = os.path.join(home, "repository")
        self.log = os.path.join(home, "output.log")

    def empty(self):
        """Leaves an initialised repository without any content."""
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.home)
        self.prepare()

    def is_filled(self):
        return os.path.isdir(self.repository)

    def prepare(self):
        os.makedirs(self.repository)

    def stored_bytes(self):
        return tree_bytes(self.repository)

    def notes(self):
        """What the program itself reports of its last run, as a dict of numbers."""
        return {}

    def write(self, name, text):
        path = os.path.join(self.home, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(text)
        return path

    def command(self, argv):
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: {done.stdout}")
        return done.stdout


class Backstay(Contender):
    def __init__(self, label, home, binary, cluster=None, data=None, level=1):
        super().__init__(label, home)
        self._binary = binary
        self._cluster = cluster
        self._data = data or cluster.data
        self._level = level
        self._config = os.path.join(home, "backstay.yaml")

    def prepare(self):
        host = self._cluster.socket if self._cluster else self.home
        port = self._cluster.port if self._cluster else 1
        self.write("backstay.yaml", f"""state_dir: {self.home}/state
repositories:
  local: {{ path: {self.repository}, key_file: {self.home}/local.key }}
sources:
  bench:
    postgres:
      connection: "host={host} port={port} dbname=postgres"
      data: {self._data}
    to: [local]
    workers: {WORKERS}
    compress: {{ method: zstd, level: {self._level} }}
""")
        self.command([self._binary, "-c", self._config, "init"])

    @property
    def archive_command(self):
        return f"{self._binary} -c {self._config} wal push bench %p"

    @property
    def restore_command(self):
        return f"{self._binary} -c {self._config} wal fetch bench %f %p"

    def backup(self):
        return [*self.increment(), "--full"]

    def increment(self):
        return [self._binary, "-c", self._config, "backup", "bench", "--checkpoint", "fast", "--json"]

    def push(self, path):
        self.command([self._binary, "-c", self._config, "wal", "push", "bench", path])

    def mode(self):
        """How the last backup found out what had changed."""
        with open(self.log) as log:
            text = log.read()
        return json.loads(text[text.index("{"):text.rindex("}") + 1])["mode"]

    def backup_bytes(self):
        return sum(tree_bytes(os.path.join(self.repository, "bench", directory))
                   for directory in ("packs", "snapshots"))

    def restore(self, to, delta=False):
        return [self._binary, "-c", self._config, "restore", "bench", "--to", to,
                *(["--delta"] if delta else [])]

    def notes(self):
        with open(self.log) as log:
            text = log.read()
        try:
            report = json.loads(text[text.index("{"):text.rindex("}") + 1])
            return {name: value for name, value in report["seconds"].items() if name != "total"}
        except (ValueError, KeyError):
            return {}


class PgBackRest(Contender):
    def __init__(self, label, home, cluster=None, data=None, level=3, asynchronous=False,
                 bundle=True):
        super().__init__(label, home)
        self._cluster = cluster
        self._data = data or cluster.data
        self._level = level
        self._asynchronous = asynchronous
        self._bundle = bundle
        self._config = os.path.join(home, "pgbackrest.conf")

    def prepare(self):
        for directory in ("repository", "spool", "log", "lock"):
            os.makedirs(os.path.join(self.home, directory))
        server = ""
        if self._cluster:
            server = f"pg1-port={self._cluster.port}\npg1-socket-path={self._cluster.socket}\n"
        self.write("pgbackrest.conf", f"""[global]
repo1-path={self.repository}
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=zWaf6XtpjIVZC5444yXB24hcmlQt1hxL
repo1-bundle={"y" if self._bundle else "n"}
repo1-retention-full=1000
compress-type=zst
compress-level={self._level}
process-max={WORKERS}
start-fast=y
checksum-page=y
archive-async={"y" if self._asynchronous else "n"}
spool-path={self.home}/spool
log-path={self.home}/log
lock-path={self.home}/lock
log-level-console=warn
log-level-file=off

[bench]
pg1-path={self._data}
{server}""")
        self.command(self._argv("stanza-create", *([] if self._cluster else ["--no-online"])))

    def _argv(self, command, *options):
        return ["pgbackrest", f"--config={self._config}", "--stanza=bench", *options, command]

    @property
    def archive_command(self):
        return " ".join(self._argv("archive-push")) + " %p"

    @property
    def restore_command(self):
        return " ".join(self._argv("archive-get")) + " %f %p"

    def backup(self):
        return self._argv("backup", "--type=full", "--no-expire-auto")

    def increment(self):
        return self._argv("backup", "--type=incr", "--no-expire-auto")

    def backup_bytes(self):
        return tree_bytes(os.path.join(self.repository, "backup"))

    def restore(self, to, delta=False):
        os.makedirs(to, mode=0o700, exist_ok=True)
        return self._argv("restore", f"--pg1-path={to}", *(["--delta"] if delta else []))


class Copy(Contender):
    """`cp` and sync: no compression, no encryption, no checksums; the floor."""

    def __init__(self, label, home, data):
        super().__init__(label, home)
        self._data = data

    def restore(self, to, delta=False):
        return ["sh", "-c", f"mkdir {to} && cd {self._data} && find . -mindepth 1 -maxdepth 1 "
                f"! -name pg_wal -exec cp -a -t {to} {{}} + && sync -f {to}"]

    @property
    def archive_command(self):
        return f"cp %p {self.repository}/%f && sync {self.repository}/%f {self.repository}"

    @property
    def restore_command(self):
        return f"cp {self.repository}/%f %p"


class Tar(Contender):
    """One uncompressed archive of the data directory, synced."""

    def __init__(self, label, home, data):
        super().__init__(label, home)
        self._data = data

    def backup(self):
        archive = os.path.join(self.repository, "data.tar")
        return ["sh", "-c", f"tar -C {self._data} --exclude=./pg_wal -cf {archive} . && sync {archive}"]


class ShellPipe(Contender):
    """What a directory of scripts does: zstd and openssl in a pipe."""

    def prepare(self):
        super().prepare()
        self.write("pass", "zWaf6XtpjIVZC5444yXB24hcmlQt1hxL\n")

    @property
    def _cipher(self):
        return f"openssl enc -aes-256-cbc -pbkdf2 -pass file:{self.home}/pass"

    @property
    def archive_command(self):
        to = f"{self.repository}/%f.zst.enc"
        return f"zstd -q -1 -c %p | {self._cipher} -out {to} && sync {to} {self.repository}"

    @property
    def restore_command(self):
        return f"{self._cipher} -d -in {self.repository}/%f.zst.enc | zstd -q -d -c > %p"
