"""Random SQL of every kind that changes files: what an increment must not overlook.

A step is chosen by the given random numbers, and looks at the catalog for what it works on, so that
any number of sessions may run steps at once. A step that meets a lock, a table dropped by another
session or a crash of the server simply does nothing.
"""
import contextlib
import random
import threading
import time

import psycopg2

from pgserver import lsn_to_int

SCHEMA = "work"
TABLES = 12        # names from a small set: dropped ones are made again
DATABASES = 3
LARGE_BYTES = 4 << 20
SETTINGS = {
    "max_prepared_transactions": "20", "bgwriter_lru_maxpages": "0", "deadlock_timeout": "200ms",
    "max_wal_size": "64MB", "min_wal_size": "8MB", "max_locks_per_transaction": "256",
    "logging_collector": "off",
}
SESSION = "-c lock_timeout=400ms -c statement_timeout=20s -c client_min_messages=error"
COLUMNS = "id bigint, v int, t text, body text, a int[], p point"
INDEXES = [
    "CREATE INDEX ON {} (id)", "CREATE INDEX ON {} (v, t)", "CREATE INDEX ON {} (md5(t))",
    "CREATE INDEX ON {} USING hash (t)", "CREATE INDEX ON {} USING gin (a)",
    "CREATE INDEX ON {} USING gin (a) WITH (fastupdate = off)", "CREATE INDEX ON {} USING gist (p)",
    "CREATE INDEX ON {} USING spgist (t)", "CREATE INDEX ON {} USING spgist (p)",
    "CREATE INDEX ON {} USING brin (id) WITH (pages_per_range = 2, autosummarize = on)",
]


class Workload:
    """One session's steps. `tablespaces` names those that may be used besides the default."""

    def __init__(self, server, chance, tablespaces=()):
        self._server = server
        self._chance = chance
        self._tablespaces = ["pg_default", *tablespaces]
        self._connection = None
        self._dbname = "postgres"
        self.done = 0
        self.failed = 0
        self._steps = [getattr(self, name) for name in dir(self) if name.startswith("step_")]
        self._weights = [WEIGHTS.get(step.__name__, 2) for step in self._steps]

    # --- running ----------------------------------------------------------------------------

    def prepare(self):
        """What every database needs; called once, before the first step."""
        self._server.script(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
                            f"CREATE SEQUENCE {SCHEMA}.numbers")
        while len(self._names("'r'")) < 4:
            with contextlib.suppress(psycopg2.errors.DuplicateTable):
                self.step_create_table()

    def step(self):
        if self._chance.random() < 0.1:
            self.close()  # so that the session moves to another database
        step = self._chance.choices(self._steps, self._weights)[0]
        try:
            step()
            self.done += 1
        except (psycopg2.Error, IndexError):  # the latter: there is nothing to choose from
            self.failed += 1
            self.close()

    def close(self):
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    def _connect(self):
        if self._connection is None:
            names = self._databases()
            self._dbname = self._chance.choice(["postgres"] * 4 + names)
            self._connection = psycopg2.connect(self._server.conninfo(dbname=self._dbname),
                                                options=SESSION)
            self._connection.autocommit = True
            if self._dbname != "postgres":
                self._sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        return self._connection

    def _sql(self, *statements):
        """Runs statements one by one and returns the rows of the last."""
        with self._connect().cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _transaction(self, *statements, end="COMMIT"):
        try:
            return self._sql("BEGIN", *statements, end)
        except psycopg2.Error:
            self.close()
            raise

    # --- what there is ----------------------------------------------------------------------

    def _databases(self):
        return [row[0] for row in self._server.rows(
            "SELECT datname FROM pg_database WHERE datname LIKE 'd\\_%' AND datallowconn")]

    def _names(self, kinds, where="true"):
        return [row[0] for row in self._sql(
            f"SELECT c.oid::regclass::text FROM pg_class c WHERE relnamespace = '{SCHEMA}'"
            f"::regnamespace AND relkind IN ({kinds}) AND {where} ORDER BY 1")]

    def _table(self, kinds="'r'", where="true"):
        names = self._names(kinds, where)
        if not names:  # so in a new database
            self.step_create_table()
            names = self._names("'r'")
        return self._chance.choice(names)

    def _index(self):
        names = self._names("'i'")
        if not names:
            self.step_create_index()
            names = self._names("'i'")
        return self._chance.choice(names)

    def _is_large(self, table):
        size = self._sql(f"SELECT pg_total_relation_size('{table}')")[0][0]
        return size is not None and size > LARGE_BYTES  # None: dropped meanwhile

    def _rows(self, count, wide=False):
        """A query of so many rows that fit COLUMNS. Wide ones go to the toast table."""
        body = "repeat(md5(g::text), 150)" if wide else "repeat('b', (random() * 200)::int)"
        return (f"SELECT g::bigint AS id, (random() * 1000)::int AS v, md5(random()::text) AS t,"
                f" {body} AS body, ARRAY[g % 7, (random() * 100)::int] AS a,"
                f" point(random() * 100, random() * 100) AS p FROM generate_series(1, {count}) g")

    def _some(self):
        """A condition that holds for a part of the rows: one in many, a range, or most."""
        divisor = self._chance.choice([2, 3, 10, 100, 1000])
        return self._chance.choice([
            f"id % {divisor} = {self._chance.randrange(divisor)}",
            f"id < {self._chance.randrange(2000)}", f"id > {self._chance.randrange(2000)}",
            f"v BETWEEN {self._chance.randrange(900)} AND {self._chance.randrange(900)}"])

    # --- rows -------------------------------------------------------------------------------

    def step_insert(self):
        table = self._table("'r', 'p'", "NOT relispartition")
        if self._is_large(table):
            self._sql(f"DELETE FROM {table} WHERE id % 4 <> 0", f"VACUUM {table}")
        else:
            wide = self._chance.random() < 0.2
            count = self._chance.choice([1, 10, 300, 40 if wide else 3000])
            self._sql(f"INSERT INTO {table} {self._rows(count, wide)}")

    def step_update(self):
        table = self._table("'r', 'p'", "NOT relispartition")
        self._sql(f"UPDATE {table} SET v = v + 1 WHERE {self._some()}")

    def step_update_wide(self):
        table = self._table()
        self._sql(f"UPDATE {table} SET body = repeat(md5(random()::text), 100), t = md5(t)"
                  f" WHERE id % 50 = {self._chance.randrange(50)}")

    def step_delete(self):
        self._sql(f"DELETE FROM {self._table()} WHERE {self._some()}")

    def step_lock_rows(self):
        """Two sessions that share a row make a multixact."""
        table = self._table()
        statement = f"SELECT 1 FROM {table} WHERE id < 20 FOR SHARE"
        self._sql("BEGIN", statement)
        try:
            other = psycopg2.connect(self._server.conninfo(dbname=self._dbname), options=SESSION)
            with other, other.cursor() as cursor:
                cursor.execute(statement)
            other.close()
        finally:
            self._sql("COMMIT")

    def step_subtransactions(self):
        table = self._table()
        self._transaction(
            f"INSERT INTO {table} {self._rows(50)}", "SAVEPOINT one",
            f"UPDATE {table} SET v = -1 WHERE {self._some()}", "ROLLBACK TO one", "SAVEPOINT two",
            f"INSERT INTO {table} {self._rows(20, wide=True)}", "RELEASE two")

    def step_abort(self):
        """What is rolled back leaves pages and files behind, or none."""
        table, number = self._table(), self._chance.randrange(10000)
        self._transaction(*self._chance.choice([
            [f"INSERT INTO {table} {self._rows(1000)}"],
            [f"CREATE TABLE {SCHEMA}.gone_{number} AS {self._rows(500)}"],
            [f"TRUNCATE {table}", f"INSERT INTO {table} {self._rows(100)}"],
            [f"DROP TABLE {table}"]]), end="ROLLBACK")

    def step_prepare(self):
        waiting = self._server.value("SELECT count(*) FROM pg_prepared_xacts")
        if waiting < 3:
            table, name = self._table(), f"p{self._chance.randrange(10 ** 9)}"
            self._transaction(f"INSERT INTO {table} {self._rows(30)}",
                              f"UPDATE {table} SET v = 0 WHERE id % 100 = 1",
                              end=f"PREPARE TRANSACTION '{name}'")

    def step_finish_prepared(self):
        rows = self._server.rows("SELECT gid, database FROM pg_prepared_xacts")
        if rows:
            gid, dbname = self._chance.choice(rows)
            end = self._chance.choice(["COMMIT", "ROLLBACK"])
            self._server.script(f"{end} PREPARED '{gid}'", dbname=dbname)

    def step_create_prepared(self):
        """A relation whose file comes, or goes, with a second phase."""
        name = f"x{self._chance.randrange(10 ** 9)}"
        end = self._chance.choice(["COMMIT", "ROLLBACK"])
        self._transaction(*self._chance.choice([
            [f"CREATE TABLE {SCHEMA}.{name} AS {self._rows(200)}"],
            [f"DROP TABLE {self._table()}"]]), end=f"PREPARE TRANSACTION '{name}'")
        self._sql(f"{end} PREPARED '{name}'")

    def step_sequence(self):
        self._server.rows(f"SELECT nextval('{SCHEMA}.numbers') FROM generate_series(1, 50)")
        if self._chance.random() < 0.2:
            self._server.script(f"ALTER SEQUENCE {SCHEMA}.numbers RESTART WITH 7")

    def step_large_object(self):
        if self._chance.random() < 0.5:
            self._sql("SELECT lo_from_bytea(0, decode(repeat('0af0', 20000), 'hex'))")
        else:
            self._sql("SELECT lo_unlink(oid) FROM pg_largeobject_metadata ORDER BY random() LIMIT 2")

    def step_temporary(self):
        self._sql("DROP TABLE IF EXISTS scratch", f"CREATE TEMP TABLE scratch AS {self._rows(500)}",
                  "DROP TABLE scratch")

    def step_message(self):
        self._sql("SELECT pg_logical_emit_message(true, 'test', repeat('m', 20000))")

    # --- relations --------------------------------------------------------------------------

    def step_create_table(self):
        name = f"{SCHEMA}.t{self._chance.randrange(TABLES)}"
        kind = self._chance.choice(["plain", "plain", "narrow", "toasted", "unlogged", "parted"])
        space = f"TABLESPACE {self._chance.choice(self._tablespaces)}"
        if kind == "parted":
            parts = [f"CREATE TABLE IF NOT EXISTS {name}_{part} PARTITION OF {name} FOR VALUES"
                     f" FROM ({part * 100}) TO ({part * 100 + 100})" for part in range(3)]
            self._transaction(
                f"CREATE TABLE {name} ({COLUMNS}) PARTITION BY RANGE (id)", *parts,
                f"CREATE TABLE {name}_rest PARTITION OF {name} DEFAULT")
        else:
            unlogged = "UNLOGGED" if kind == "unlogged" else ""
            options = "WITH (fillfactor = 20)" if kind == "narrow" else ""
            self._sql(f"CREATE {unlogged} TABLE {name} ({COLUMNS}) {options} {space}")
        if kind == "toasted":
            self._sql(f"ALTER TABLE {name} ALTER body SET STORAGE external")
        self._sql(f"INSERT INTO {name} {self._rows(self._chance.choice([0, 200, 2000]))}")

    def step_drop_table(self):
        if len(self._names("'r', 'p'", "NOT relispartition")) > 3:
            self._sql(f"DROP TABLE {self._table()} CASCADE")

    def step_truncate(self):
        self._sql(f"TRUNCATE {self._table()}")

    def step_create_index(self):
        table = self._table()
        indexes = f"SELECT count(*) FROM pg_index WHERE indrelid = '{table}'::regclass"
        if self._sql(indexes)[0][0] < 4:
            space = self._chance.choice(self._tablespaces)
            self._sql(f"SET default_tablespace = {space}",
                      self._chance.choice(INDEXES).format(table), "RESET default_tablespace")

    def step_drop_index(self):
        self._sql(f"DROP INDEX {self._index()}")

    def step_reindex(self):
        self._sql(self._chance.choice([f"REINDEX INDEX {self._index()}",
                                       f"REINDEX TABLE {self._table()}",
                                       "REINDEX TABLE pg_attribute"]))

    def step_alter(self):
        table = self._table()
        column = f"c{self._chance.randrange(3)}"
        self._sql(self._chance.choice([
            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} float DEFAULT random()",
            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} int DEFAULT 5",
            f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column}",
            f"ALTER TABLE {table} ALTER v TYPE bigint", f"ALTER TABLE {table} ALTER v TYPE int",
            f"ALTER TABLE {table} SET UNLOGGED", f"ALTER TABLE {table} SET LOGGED"]))

    def step_set_tablespace(self):
        space = self._chance.choice(self._tablespaces)
        what = self._chance.choice([f"TABLE {self._table()}", f"INDEX {self._index()}"])
        self._sql(f"ALTER {what} SET TABLESPACE {space}")

    def step_matview(self):
        name = f"{SCHEMA}.seen"
        self._sql(f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name} AS SELECT count(*) FROM pg_class",
                  f"REFRESH MATERIALIZED VIEW {name}")

    # --- housekeeping -----------------------------------------------------------------------

    def step_vacuum(self):
        options = self._chance.choice(["", "(ANALYZE)", "(FREEZE)", "(FREEZE, ANALYZE)"])
        self._sql(f"VACUUM {options} {self._table()}")

    def step_vacuum_full(self):
        self._sql(f"VACUUM FULL {self._chance.choice([self._table(), 'pg_attribute', 'pg_class'])}")

    def step_cluster(self):
        rows = self._sql(
            "SELECT indrelid::regclass, indexrelid::regclass::text FROM pg_index i JOIN pg_class c"
            f" ON c.oid = indexrelid WHERE relnamespace = '{SCHEMA}'::regnamespace"
            " AND relkind = 'i' AND relam = 403")
        if rows:
            table, index = self._chance.choice(rows)
            self._sql(f"CLUSTER {table} USING {index.split('.')[-1]}")

    def step_cut_the_end(self):
        """A file that shrinks, and perhaps grows again."""
        table = self._table()
        self._sql(f"DELETE FROM {table} WHERE ctid > '({self._chance.randrange(60)},0)'::tid",
                  f"VACUUM {table}")
        if self._chance.random() < 0.6:
            self._sql(f"INSERT INTO {table} {self._rows(1500)}")

    def step_pending_lists(self):
        for index, in self._sql(
                "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE"
                f" amname = 'gin' AND relnamespace = '{SCHEMA}'::regnamespace AND relkind = 'i'"):
            self._sql(f"SELECT gin_clean_pending_list('{index}')")

    def step_read(self):
        """Reading sets hint bits and prunes pages."""
        self._sql(f"SELECT count(body), sum(v) FROM {self._table()}")

    def step_checkpoint(self):
        self._sql("CHECKPOINT")

    def step_switch_wal(self):
        self._sql("SELECT pg_switch_wal()")

    # --- databases --------------------------------------------------------------------------

    def step_create_database(self):
        name = f"d_{self._chance.randrange(DATABASES)}"
        strategy = ""
        if self._server.version >= 15:
            strategy = f"STRATEGY {self._chance.choice(['wal_log', 'file_copy'])}"
        template = self._chance.choice(["template0", "template1", *self._databases()])
        space = self._chance.choice(self._tablespaces)
        self._server.script(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}"
                            f" TABLESPACE {space}")

    def step_drop_database(self):
        names = self._databases()
        if names:
            self._server.script(f"DROP DATABASE {self._chance.choice(names)} WITH (FORCE)")

    def step_move_database(self):
        names = self._databases()
        if names:
            space = self._chance.choice(self._tablespaces)
            self._server.script(f"ALTER DATABASE {self._chance.choice(names)}"
                                f" SET TABLESPACE {space}")


def end_prepared(server, names="%"):
    """Rolls back what is prepared under such names; those of step_create_prepared, which a crash
    may have left, lock their table against every reader."""
    for gid, dbname in server.rows("SELECT gid, database FROM pg_prepared_xacts"
                                   " WHERE gid LIKE %s", names):
        server.script(f"ROLLBACK PREPARED '{gid}'", dbname=dbname)


WEIGHTS = {
    "step_insert": 14, "step_update": 14, "step_delete": 4, "step_create_table": 6,
    "step_create_index": 5, "step_vacuum": 6, "step_checkpoint": 3, "step_switch_wal": 3,
    "step_create_database": 1, "step_drop_database": 1, "step_move_database": 1,
    "step_vacuum_full": 2, "step_drop_table": 2, "step_cut_the_end": 5, "step_read": 4,
}


class Sessions:
    """Several sessions at once, each with random numbers of its own, until they are stopped. They
    outlive crashes of the server."""

    def __init__(self, server, chance, count, tablespaces=()):
        self._workloads = [Workload(server, random.Random(chance.random()), tablespaces)
                           for _ in range(count)]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(each,), daemon=True)
                         for each in self._workloads]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()
        for workload in self._workloads:
            workload.close()

    @property
    def done(self):
        return sum(workload.done for workload in self._workloads)

    def _run(self, workload):
        while not self._over.is_set():
            failed = workload.failed
            workload.step()
            if workload.failed > failed:
                time.sleep(0.02)


class Marks:
    """Rows committed one after the other by one session, each with the WAL position that proves
    whether a recovery to a position must have it, or cannot."""

    def __init__(self, server):
        self._server = server
        self._over = threading.Event()
        self._thread = None
        self._number = 0
        self.rows = []  # (note, LSN before its commit record, LSN after it)
        self.unknown = set()  # those whose commit a crash left open

    def __enter__(self):
        self._over.clear()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _run(self):
        while not self._over.is_set():
            note = f"m{self._number}"
            self._number += 1
            try:
                marker = self._server.mark(note)
                self.rows.append((note, lsn_to_int(marker.before_commit), lsn_to_int(marker.lsn)))
            except psycopg2.Error:
                self.unknown.add(note)
                time.sleep(0.05)

    def assert_until(self, found, lsn):
        """`found` holds exactly what was committed when the WAL had reached `lsn`."""
        end, found = lsn_to_int(lsn), set(found)
        missing = [note for note, _, after in self.rows if after <= end and note not in found]
        early = [note for note, before, _ in self.rows if before > end and note in found]
        assert not missing, f"committed before {lsn} and lost: {missing[:10]}"
        assert not early, f"committed after {lsn} and there: {early[:10]}"
