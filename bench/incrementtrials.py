"""The trials of increments: what a snapshot costs after little, much or nothing has changed."""
import os
import shutil
import subprocess

from cluster import warm
from meter import measure
from trials import OURS, PEER1, ClusterTrials, Row

ALONE = "the server alone"
REFERENCE = (
    "pgBackRest of Debian 12 (2.45) knows no increments within a file (repo-block), it copies a file "
    "of which anything changed. A newer one with repo-block and repo-bundle, not measured in this "
    "run, encrypted, on 5.9 GB: no change 1.15 s wall and 0.34 s CPU; 1 % of the rows at random "
    "(46 % of the pages) 4.3 and 6.9; 1 % of the rows in one place 2.2 and 1.95; after 60 s of "
    "pgbench 4.2 and 6.9")
# Room in each page, so that an updated row stays in it and a page changed is a page changed.
_ROOM = ["ALTER TABLE pgbench_accounts SET (fillfactor = 85); VACUUM FULL pgbench_accounts"]
_TWICE = [f"CREATE TABLE {name}_2 AS SELECT * FROM {name}; {index}" for name, index in [
    ("articles", "ALTER TABLE articles_2 ADD PRIMARY KEY (id); CREATE INDEX ON articles_2 (title)"),
    ("events", "ALTER TABLE events_2 ADD PRIMARY KEY (id);"
               "CREATE INDEX ON events_2 ((data->>'user')); CREATE INDEX ON events_2 ((data->>'kind'))"),
    ("tokens", "ALTER TABLE tokens_2 ADD PRIMARY KEY (id); CREATE INDEX ON tokens_2 (owner, created)"),
    ("pgbench_accounts", "ALTER TABLE pgbench_accounts_2 ADD PRIMARY KEY (aid)"),
]]
COPIES = {"increment": ("full", _ROOM), "double": ("increment", _TWICE), "chain": ("quarter", _ROOM)}


class IncrementTrials(ClusterTrials):
    _complete_until = ""  # the last WAL of which our archive had everything before

    def increment(self):
        """Every contender sees each change once, and finds all its WAL archived before."""
        cluster = self._bench.cluster("increment")
        contenders = self._with_a_full_one(cluster, [OURS, PEER1])
        rows = []
        for case, change in self._cases().items():
            trial = f"increment, {case}"
            made = {contender: Row(trial, contender.label) for contender in contenders}
            alone = Row(trial, ALONE)
            for turn in range(self._bench.runs):
                self._change(cluster, contenders, change)
                alone.add(self._server_alone(cluster))
                # The first one after a change also meets a colder page cache: take turns.
                for contender in contenders if turn % 2 == 0 else contenders[::-1]:
                    self._add(made[contender], contender, cluster)
            rows += [*made.values(), alone]
        return rows

    def scale(self):
        """The same pages change in the data and in twice as much."""
        rows = []
        for name, text in (("increment", "the data"), ("double", "twice the data")):
            cluster = self._bench.cluster(name)
            ours = self._with_a_full_one(cluster, [OURS])
            for contender in ours:
                row = Row(f"scale, {text}", contender.label)
                for _ in range(self._bench.runs):
                    self._change(cluster, ours, spread_pages)
                    self._add(row, contender, cluster)
                rows.append(row)
            cluster.stop()
        return rows

    def chain(self):
        """Restores of the last of many increments and of a full snapshot of the same cluster."""
        cluster = self._bench.cluster("chain")
        rows = []
        for contender in self._with_a_full_one(cluster, [OURS]):
            row = Row(f"chain, {self._bench.increments} increments", contender.label)
            for _ in range(self._bench.increments):
                self._change(cluster, [contender], spread_pages)
                self._add(row, contender, cluster)
            rows += [row, self._restored("chain, restore of the last", contender)]
            measure(contender.backup(), contender.log)
            rows.append(self._restored("chain, restore of a full one", contender))
        return rows

    def _cases(self):
        return {
            "no change": lambda cluster: None,
            "1 % of the pages, spread": spread_pages,
            "1 % of the pages, in one place": pages_in_one_place,
            "pgbench": lambda cluster: pgbench(cluster, self._bench.seconds),
            "1 % of the rows, spread": lambda cluster: cluster.sql(
                "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE random() < 0.01"),
        }

    def _with_a_full_one(self, cluster, labels):
        contenders = self.contenders(cluster, labels)
        cluster.start()
        cluster.sql("ALTER SYSTEM SET wal_keep_size = '8GB'")
        warm(cluster.data)
        for contender in contenders:
            self._backup(contender, cluster)
            if contender.label == OURS:
                self._complete_until = last_archived(cluster)
        return contenders

    def _change(self, cluster, contenders, change):
        """Every contender gets all WAL of the change, before anybody is measured."""
        every = " && ".join(each.archive_command for each in contenders)
        cluster.archive_with(every)
        change(cluster)
        cluster.archive_with(every)

    def _add(self, row, contender, cluster):
        """One increment, during which the server archives for this contender alone. What was
        archived for others alone meanwhile is nothing to pgBackRest, but our summaries."""
        cluster.archive_with(contender.archive_command)
        if contender.label == OURS:
            for name in archived_since(cluster, self._complete_until):
                contender.push(os.path.join(cluster.data, "pg_wal", name))
            self._complete_until = last_archived(cluster)
        before = contender.backup_bytes()
        os.sync()
        result = measure(contender.increment(), contender.log)
        if contender.label == OURS and contender.mode() != "increment":
            raise RuntimeError(f"{row.trial}: that was no increment, see {contender.log}")
        row.add(result, **{"added MB": (contender.backup_bytes() - before) / 1e6}, **{
            f"{phase} phase": value for phase, value in contender.notes().items()})
        self._bench.say(f"{row.trial} {len(row.runs)} {contender.label}: {result['wall']:.2f} s, "
                        f"{result['cpu']:.2f} s CPU")

    def _server_alone(self, cluster):
        """What any backup of a running server has to wait for, its checkpoint included."""
        cluster.archive_with("/bin/true")
        script = ("SELECT pg_backup_start('bench', true); SELECT lsn FROM pg_backup_stop(false);"
                  "SELECT pg_switch_wal()")
        return measure([*cluster.client("psql", "-XAtq", "-d", "postgres"), "-c", script],
                       os.path.join(self._bench.work, "alone.log"))

    def _restored(self, trial, contender):
        row = Row(trial, contender.label)
        for _ in range(self._bench.runs):
            row.add(self._restore(contender, self._target(contender)))
            shutil.rmtree(self._target(contender))
        return row


def spread_pages(cluster):
    """One row in each of 1 % of the pages of a table, at random."""
    _update_pages(cluster, "random() < 0.01")


def pages_in_one_place(cluster):
    _update_pages(cluster, "p / (pages / 100 + 1) = turn")


def _update_pages(cluster, condition):
    cluster.sql(f"""
        WITH size AS (SELECT relpages AS pages, (reltuples / relpages)::int AS rows,
                             floor(random() * 100) AS turn
                      FROM pg_class WHERE relname = 'pgbench_accounts')
        UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid IN (
            SELECT p * rows + 1 + floor(random() * rows)::int
            FROM size, generate_series(0, pages - 1) AS p WHERE {condition})""")


def pgbench(cluster, seconds):
    subprocess.run(cluster.client("pgbench", "-n", "-c", "4", "-T", str(seconds), "postgres"),
                   check=True, capture_output=True)


def last_archived(cluster):
    return cluster.sql("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver")


def archived_since(cluster, first):
    status = os.path.join(cluster.data, "pg_wal/archive_status")
    return sorted(name[:-5] for name in os.listdir(status)
                  if name.endswith(".done") and len(name) == 29 and name[:24] > first)
