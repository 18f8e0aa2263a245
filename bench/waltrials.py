"""The trials of the WAL archive: 100 ready segments pushed, and fetched, one call after another."""
import hashlib
import os
import subprocess

import dataset
from cluster import warm
from contenders import Backstay, Copy, PgBackRest, ShellPipe
from meter import measure
from trials import OURS, PEER1, PEER3, Row

ASYNC = PEER1 + " asynchronous"


class WalTrials:
    def __init__(self, bench):
        self._bench = bench
        self._data = bench.wal_data()
        self._segments = dataset.segments(self._data)
        self._contenders = self._all()

    def _all(self):
        home = os.path.join(self._bench.work, "wal")

        def place(name):
            return os.path.join(home, name)

        ours = []
        if self._bench.binary:
            ours.append(Backstay(OURS, place("ours"), self._bench.binary, data=self._data))
        return ours + [
            PgBackRest(PEER1, place("zst1"), data=self._data, level=1),
            PgBackRest(PEER3, place("zst3"), data=self._data, level=3),
            PgBackRest(ASYNC, place("async"), data=self._data, level=1, asynchronous=True),
            ShellPipe("zstd -1, openssl and sync", place("pipe")),
            Copy("cp and sync", place("cp"), self._data),
        ]

    def push(self):
        warm(os.path.join(self._data, "pg_wal"))
        return self._run("push", self._push)

    def fetch(self):
        for contender in self._contenders:
            if not contender.is_filled():
                self._push(contender)
            self._check(contender)
        return self._run("fetch", self._fetch)

    def _run(self, trial, call):
        rows = {contender: Row(trial, contender.label) for contender in self._contenders}
        for turn in range(self._bench.runs):
            for contender in self._contenders:
                result = call(contender)
                rate = len(self._segments) / result["wall"]
                rows[contender].add(result, **{"segments a second": rate})
                self._bench.say(f"{trial} {turn + 1}/{self._bench.runs} {contender.label}: "
                                f"{1000 / rate:.1f} ms a segment")
        return list(rows.values())

    def _push(self, contender):
        """The archiver's loop: run the command, and only after its success rename the mark."""
        contender.empty()
        self._mark_all_ready()
        os.sync()

        def archiver(log):
            with open(log, "w") as out:
                for segment in self._segments:
                    call(contender.archive_command, f"pg_wal/{segment}", segment, out)
                    mark = f"pg_wal/archive_status/{segment}"
                    os.rename(mark + ".ready", mark + ".done")

        return measure(archiver, contender.log, cwd=self._data)

    def _mark_all_ready(self):
        status = os.path.join(self._data, "pg_wal/archive_status")
        for name in os.listdir(status):
            os.unlink(os.path.join(status, name))
        for segment in self._segments:
            with open(os.path.join(status, segment + ".ready"), "w"):
                pass

    def _fetch(self, contender, seen=None):
        """Recovery's loop without the replay: ask for a segment, take it away, ask for the next."""
        os.sync()
        to = "pg_wal/RECOVERYXLOG"

        def recovery(log):
            with open(log, "w") as out:
                for segment in self._segments:
                    call(contender.restore_command, to, segment, out)
                    if seen:
                        seen(segment, to)
                    os.unlink(to)

        return measure(recovery, contender.log, cwd=self._data)

    def _check(self, contender):
        """One fetch that is not measured: what comes back must be what was pushed."""
        def compare(segment, path):
            if digest(f"pg_wal/{segment}") != digest(path):
                raise OSError(f"{contender.label} returned other content for {segment}")

        self._fetch(contender, compare)


def call(template, path, name, out):
    """As the server does it: the placeholders are filled in, and a shell runs the command."""
    command = template.replace("%p", path).replace("%f", name)
    subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                   check=True)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
