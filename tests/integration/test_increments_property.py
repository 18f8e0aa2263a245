"""Snapshot after snapshot of a cluster under random work, and each is what the cluster was.

BACKSTAY_PROPERTY_ROUNDS  snapshots (default 10; make test-nightly takes 200)
BACKSTAY_PROPERTY_SEED    the seed that a failed run printed (default: a new one)

The seed decides on the cluster, the work and the snapshots; how concurrent sessions interleave it
cannot decide, so a seed may have to be run several times.
"""
import dataclasses
import itertools
import os
import random
import re
import secrets
import shutil
from pathlib import Path

import compare
from backstay import verify_backup
from pgserver import wait_for
from workload import SETTINGS, Marks, Sessions, Workload, end_prepared

ROUNDS = int(os.environ.get("BACKSTAY_PROPERTY_ROUNDS", "10"))
SEED = int(os.environ.get("BACKSTAY_PROPERTY_SEED", secrets.randbelow(10 ** 6)))
CHECKED = 16      # about so many snapshots are restored and compared, however many there are
REPLAYED = 3      # and from so many all later WAL is replayed
TABLESPACES = ["fast", "cold"]


@dataclasses.dataclass
class Taken:
    """A snapshot that is going to be checked, and what its moment was like."""
    report: dict
    dump: list = None       # of a quiet moment: every row
    reference: Path = None  # of a quiet moment: every page

    @property
    def id(self):
        return self.report["snapshot"]


class Life:
    """The cluster, its repository, and what is remembered of each snapshot."""

    def __init__(self, ws, seed):
        self.ws = ws
        self.chance = random.Random(seed)
        self.checksums = self.chance.random() < 0.6
        self.logged_hints = self.checksums or self.chance.random() < 0.5
        settings = {**SETTINGS, "wal_log_hints": "on" if self.logged_hints else "off"}
        self.server, self.backstay = ws.pair(wal_segsize_mb=1, checksums=self.checksums,
                                             settings=settings)
        for name in TABLESPACES:
            ws.directory(name)
            self.server.script(f"CREATE TABLESPACE {name} LOCATION '{ws.path / name}'")
        self.server.make_markers()
        self.work = Workload(self.server, random.Random(self.chance.random()), TABLESPACES)
        self.work.prepare()
        self.marks = Marks(self.server)
        self.checked = []
        self.others = []  # snapshots that nobody checks, and which may be deleted

    # --- one round --------------------------------------------------------------------------

    def round(self, number):
        self.some_work(self.chance.randrange(5, 40))
        if self.chance.random() < 0.6:
            with self.sessions(), self.marks:
                self.some_work(self.chance.randrange(5, 40))
                if self.chance.random() < 0.25:
                    self.crash()
        if self.chance.random() < 0.15:
            self.crash()
        options = self.options(number)
        is_checked = number in (0, ROUNDS - 1) or self.chance.random() < CHECKED / ROUNDS
        taken = self.take_quiet(options) if self.chance.random() < 0.6 else self.take_busy(options)
        self.assert_mode(number, options, taken.report)
        (self.checked if is_checked else self.others).append(taken)
        if not is_checked and taken.reference:
            shutil.rmtree(taken.reference)
        if len(self.others) > 1 and self.chance.random() < 0.3:
            self.delete_one(taken)

    def some_work(self, steps):
        for _ in range(steps):
            self.work.step()

    def sessions(self):
        return Sessions(self.server, self.chance, self.chance.randrange(1, 4), TABLESPACES)

    def crash(self):
        if self.chance.random() < 0.5:
            self.server.stop("immediate")
        else:
            self.server.kill()
        for _ in range(10):
            try:
                self.server.start()
                return
            except AssertionError as problem:
                # PostgreSQL's own: an unlogged index that was being built has no init fork yet, and
                # the end of crash recovery, which has made one, then meets its file.
                found = re.findall(r'could not create file "([^"]+)": File exists', str(problem))
                if not found or not (self.server.data / f"{found[-1]}_init").exists():
                    raise
                (self.server.data / found[-1]).unlink()
        raise AssertionError("the server does not start after a crash")

    def options(self, number):
        kind = self.chance.random()
        if number == 0 or kind > 0.25:
            return []
        return ["--full"] if kind > 0.2 else ["--check-reused"]

    def take_quiet(self, options):
        """Nobody writes, and what reading leaves behind is on disk before the snapshot."""
        self.work.close()
        end_prepared(self.server, "x%")
        dump = dump_of(self.server)
        self.server.script("CHECKPOINT")
        report = self.backstay.backup(*options)
        reference = self.ws.path / f"reference-{report['snapshot']}"
        compare.reference_copy(self.server.data, reference)
        return Taken(report, dump, reference)

    def take_busy(self, options):
        with self.sessions() as sessions, self.marks:
            self.some_work(3)
            rate = self.chance.choice([[], ["--max-rate", "20MiB"]])
            process = self.backstay.start("backup", "orders", *options, *rate, "--json")
            while process.poll() is None:
                self.work.step()
            result = self.backstay.finish(process)
            assert result.status == 0, result
            wait_for("a session to get something done", lambda: sessions.done > 0)
        return Taken(result.json())

    def assert_mode(self, number, options, report):
        """The first snapshot has a parent only where a database that was made meanwhile had the backup
        begin again, upon what it had copied."""
        full = "--full" in options or (number == 0 and not report["parent"])
        expected = "full" if full else "incremental"
        assert report["mode"] == expected, report
        assert report["state"] == "complete" and report["damaged_pages"] == []

    def delete_one(self, newest):
        """By hand: the manifest is removed, and hurts no other snapshot."""
        victim = self.chance.choice([each for each in self.others if each is not newest])
        self.others.remove(victim)
        [manifest] = [path for path in self.backstay.objects("orders/snapshots")
                      if path.name == victim.id]
        manifest.unlink()

    # --- the end ----------------------------------------------------------------------------

    def finish(self):
        """Leaves the source at rest, and knows what a recovery to the end has to give."""
        end_prepared(self.server)
        self.work.close()
        self.dump = dump_of(self.server)
        self.server.archive_all()
        self.server.stop()

    def restored(self, name, *args):
        restored = self.ws.restored(name)
        spaces = [f"--tablespace={space}={self.ws.path / name}-{space}" for space in TABLESPACES]
        self.backstay.restore(restored.data, *args, *spaces)
        verify_backup(self.ws.path, restored.data)
        return restored

    def check(self, taken):
        restored = self.restored(f"r-{taken.id}", "--at", taken.id)
        if taken.reference:
            compare.assert_equal(taken.reference, restored.data,
                                 compare.unlogged_files(taken.reference),
                                 compare.equal_but_unlogged(hints=not self.logged_hints))
        restored.start_restored()
        end_prepared(restored, "x%")
        if taken.dump:
            assert_same_rows(dump_of(restored), taken.dump, taken.id)
        else:
            self.marks.assert_until(restored.markers(), taken.report["stop_lsn"])
        restored.amcheck(toast=False)
        self.remove(restored, taken.reference)

    def check_replay(self, taken):
        """All that came after the snapshot fits on it."""
        restored = self.restored(f"l-{taken.id}", "--snapshot", taken.id)
        restored.start_restored()
        assert_same_rows(dump_of(restored), self.dump, f"{taken.id} and all later WAL",
                         passing_over="SELECT pg_catalog.setval(")  # logged some values ahead
        restored.amcheck(toast=False)
        self.remove(restored)

    def remove(self, restored, *others):
        restored.stop("immediate")
        spaces = [f"{restored.data}-{space}" for space in TABLESPACES]
        for path in [restored.data, *spaces, *filter(None, others)]:
            shutil.rmtree(path)


def dump_of(server):
    """Every row of every database, without what differs between equal clusters."""
    text = server.program("pg_dumpall", "--no-unlogged-table-data", "-h", server.sockets,
                          "-p", str(server.port), "-U", "postgres").stdout
    varying = ("CREATE TABLESPACE ", "\\restrict ", "\\unrestrict ")
    return [line for line in text.splitlines() if not line.startswith(varying)]


def assert_same_rows(found, expected, name, passing_over="\0"):
    for number, (left, right) in enumerate(itertools.zip_longest(found, expected)):
        assert left == right or left and left.startswith(passing_over), (
            f"{name} holds other rows, from line {number} of the dump:\n"
            f"{left!r:.300}\n{right!r:.300}")


def test_every_snapshot_is_what_the_cluster_was(ws, capsys):
    """Random work of every kind, crashes included, a snapshot at random moments; at the end each
    is restored and compared with what a dump and the pages said at that moment."""
    with capsys.disabled():
        print(f"\nproperty test of increments: BACKSTAY_PROPERTY_SEED={SEED}"
              f" BACKSTAY_PROPERTY_ROUNDS={ROUNDS}")
    life = Life(ws, SEED)
    for number in range(ROUNDS):
        life.round(number)
    life.finish()
    assert set(life.backstay.complete()) == {each.id for each in life.checked + life.others}
    for taken in life.checked:
        life.check(taken)
    for taken in life.chance.sample(life.checked, min(REPLAYED, len(life.checked))):
        life.check_replay(taken)
