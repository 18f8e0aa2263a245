"""Which blocks WAL changes, as a summary tells it, compared with what pg_waldump says of the same
segments: of every segment for itself and of all together."""
import re
import subprocess
from collections import defaultdict

import psycopg2
import pytest

import place

SEGMENT = 1 << 20
FORKS = {"main": 0, "fsm": 1, "vm": 2, "init": 3}
FSM = FORKS["fsm"]
PATH = re.compile(r"(?:base/(\d+)|(global)|pg_tblspc/(\d+)/[^/]+/(\d+))/(\d+)(?:_(fsm|vm|init))?")
REFERENCE = re.compile(r"blkref #\d+: rel (\d+)/(\d+)/(\d+)(?: fork (\w+))? blk (\d+)")
RECORD = re.compile(r"rmgr: (\w+)\s+len \(rec/tot\):\s*\d+/\s*(\d+), .*?lsn: (\w+)/(\w+), "
                    r"prev \w+/\w+, desc: (.*)")


class Summary:
    """What a stretch of WAL changes."""

    def __init__(self):
        self.blocks = set()
        self.limits = {}
        self.renewed = set()
        self.unfit = "-"

    def limit(self, fork, block):
        if fork[3] != FSM:
            self.limits[fork] = min(block, self.limits.get(fork, block))

    def differences(self, other):
        return (self.blocks ^ other.blocks, set(self.limits.items()) ^ set(other.limits.items()),
                self.renewed ^ other.renewed)


# --- what pg_waldump says -------------------------------------------------------------------

def fork_of_path(match):
    base, shared, tablespace, database, node, suffix = match.groups()
    if shared:
        return 1664, 0, int(node), FORKS[suffix or "main"]
    return (int(tablespace or 1663), int(base or database), int(node), FORKS[suffix or "main"])


def note_storage(summary, description):
    fork = fork_of_path(PATH.search(description))
    if description.startswith("CREATE"):
        summary.limit(fork, 0)
        return
    block, flags = re.search(r" to (\d+) blocks flags (\d+)", description).groups()
    if int(flags) & 1:
        summary.limit(fork, int(block))
    if int(flags) & 2:
        summary.limit((*fork[:3], FORKS["vm"]), 0)


def note_transaction(summary, description):
    dropped = re.search(r"; rels: ([^;]*)", description)
    if not dropped or not description.startswith(("COMMIT", "ABORT")):
        return
    for match in PATH.finditer(dropped[1]):
        relation = fork_of_path(match)[:3]
        for fork in ("main", "vm", "init"):
            summary.limit((*relation, FORKS[fork]), 0)


def note_database(summary, description):
    places = re.findall(r"(\d+)/(\d+)", description)
    if "copy dir" in description:
        places = places[1:]
    assert places, description
    summary.renewed.update((int(tablespace), int(database)) for tablespace, database in places)


def note_record(summary, manager, description):
    for tablespace, database, node, fork, block in REFERENCE.findall(description):
        number = FORKS[fork or "main"]
        if number != FSM:
            summary.blocks.add((int(tablespace), int(database), int(node), number, int(block)))
    if manager == "Storage":
        note_storage(summary, description)
    elif manager == "Transaction":
        note_transaction(summary, description)
    elif manager == "Database":
        note_database(summary, description)


def crosses_border(lsn, total):
    """Does a record go on in the next segment? Each page behind its first has a header."""
    left = SEGMENT - lsn % SEGMENT
    return total > left - 24 * ((left - 1) // 8192)


def told_by_waldump(server, directory, names):
    result = server.program("pg_waldump", "-p", directory, names[0], names[-1], check=False)
    assert result.returncode == 0 or "invalid record length" in result.stderr, result.stderr
    summaries = defaultdict(Summary)
    managers = defaultdict(int)
    for line in result.stdout.splitlines():
        manager, total, high, low, description = RECORD.match(line).groups()
        lsn = (int(high, 16) << 32) + int(low, 16)
        managers[manager] += 1
        note_record(summaries["all"], manager, description)
        if not crosses_border(lsn, int(total)):
            number = lsn // SEGMENT
            name = f"{1:08X}{number // 4096:08X}{number % 4096:08X}"
            note_record(summaries[name], manager, description)
    return summaries, managers


# --- what the summaries say -----------------------------------------------------------------

def told_by_summaries(paths):
    result = subprocess.run([place.TOOLS / "dump-blocks", *paths], capture_output=True, text=True,
                            check=False, timeout=300)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    summaries = {}
    for line in result.stdout.splitlines():
        kind, *fields = line.split(" ")
        if kind == "summary":
            summary = summaries[fields[0]] = Summary()
            summary.unfit = " ".join(fields[1:])
            continue
        numbers = tuple(map(int, fields))
        if kind == "renewed":
            summary.renewed.add(numbers)
        elif kind == "limit":
            summary.limits[numbers[:4]] = numbers[4]
        else:
            first, count = numbers[4:]
            summary.blocks.update((*numbers[:4], block) for block in range(first, first + count))
    return summaries


# --- the work -------------------------------------------------------------------------------

TABLES = """
CREATE EXTENSION bloom;
CREATE TABLE t (id int PRIMARY KEY, word text, list int[], spot point, note text, at timestamptz);
CREATE INDEX ON t USING gin (list);
CREATE INDEX ON t USING gist (spot);
CREATE INDEX ON t USING spgist (spot);
CREATE INDEX ON t USING hash (word);
CREATE INDEX ON t USING brin (at) WITH (pages_per_range = 4, autosummarize = off);
CREATE INDEX ON t USING bloom (id, word);
CREATE INDEX ON t (word);
CREATE SEQUENCE numbers;
CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
"""

ROWS = """
INSERT INTO t SELECT i, md5(i::text), ARRAY[i % 50, i % 7, i], point(i % 100, i / 100),
    CASE WHEN i % 500 = 0 THEN (SELECT string_agg(md5((i + j)::text), '')
                                FROM generate_series(1, 400) j) END,
    now() + i * interval '1 minute' FROM generate_series({first}, {last}) i
"""

CHANGES = [
    "UPDATE t SET at = at + interval '1 day' WHERE id % 3 = 0",
    "UPDATE t SET word = md5(word) WHERE id % 11 = 0",
    "UPDATE t SET note = note || 'x' WHERE note IS NOT NULL",
    "INSERT INTO t VALUES (1, 'again') ON CONFLICT (id) DO UPDATE SET word = 'again'",
    "INSERT INTO t VALUES (1, 'again') ON CONFLICT DO NOTHING",
    "DELETE FROM t WHERE id % 5 = 0",
    "SELECT count(nextval('numbers')) FROM generate_series(1, 500)",
    "VACUUM (FREEZE, INDEX_CLEANUP ON) t",
    "SELECT gin_clean_pending_list('t_list_idx'), brin_summarize_new_values('t_at_idx')",
    "DELETE FROM t WHERE id > 3500",
    "VACUUM t",
    "CREATE TABLE copied AS SELECT * FROM t",
    "CREATE MATERIALIZED VIEW seen AS SELECT id, word FROM t",
    "REFRESH MATERIALIZED VIEW seen",
    "CLUSTER t USING t_pkey",
    "VACUUM FULL copied",
    "ALTER TABLE copied SET TABLESPACE aside",
    "ALTER TABLE copied ALTER COLUMN id TYPE bigint",
    "REINDEX TABLE t",
    "REINDEX TABLE CONCURRENTLY t",
    "INSERT INTO fleeting SELECT generate_series(1, 100) ON CONFLICT DO NOTHING",
    "ALTER TABLE fleeting SET LOGGED",
    "ALTER TABLE fleeting SET UNLOGGED",
    "TRUNCATE copied",
    "DROP MATERIALIZED VIEW seen",
    "SELECT pg_logical_emit_message(true, 'test', repeat(md5('x'), 3000))",
    "SELECT pg_logical_emit_message(false, 'test', 'short')",
    "SELECT count(txid_current()) FROM generate_series(1, 3)",
    """DO $$ BEGIN
        FOR i IN 1..200 LOOP
            BEGIN
                INSERT INTO t VALUES (100000 + i, 'sub');
                IF i % 3 = 0 THEN RAISE EXCEPTION 'undone'; END IF;
            EXCEPTION WHEN raise_exception THEN NULL;
            END;
        END LOOP;
    END $$""",
]

MANY = """DO $$ BEGIN
    FOR i IN 1..1500 LOOP EXECUTE format('CREATE TABLE many.t%s (id int)', i); END LOOP;
END $$"""


def work_on_tables(server):
    """Again with each way to compress the images of pages."""
    server.script(*filter(str.strip, TABLES.split(";")))
    methods = ["off", "pglz", "lz4", "zstd"] if server.version >= 15 else ["off", "on"]
    for turn, method in enumerate(methods):
        server.script(f"ALTER SYSTEM SET wal_compression = {method}", "SELECT pg_reload_conf()",
                      ROWS.format(first=turn * 1000000 + 1, last=turn * 1000000 + 4000),
                      *CHANGES, "DROP TABLE copied", "CHECKPOINT")
    server.script("CREATE SCHEMA many", MANY, "DROP SCHEMA many CASCADE")


def work_in_transactions(server):
    """Prepared ones, one that is undone with what it made, and a row locked by two."""
    for end in ("COMMIT PREPARED 'p'", "ROLLBACK PREPARED 'p'"):
        server.script("CREATE TABLE old (id int)", "INSERT INTO old VALUES (1)")
        connection = psycopg2.connect(server.conninfo())
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE new AS SELECT generate_series(1, 1000)")
            cursor.execute("SAVEPOINT s")
            cursor.execute("DROP TABLE old")
            cursor.execute("PREPARE TRANSACTION 'p'")
        connection.rollback()
        connection.close()
        server.script("CHECKPOINT", end, "DROP TABLE IF EXISTS old, new")
    first, second = (psycopg2.connect(server.conninfo()) for _ in range(2))
    for connection in (first, second):
        connection.cursor().execute("SELECT FROM t WHERE id < 50 FOR SHARE")
    second.commit()
    first.cursor().execute("CREATE TABLE undone AS SELECT * FROM t LIMIT 500")
    first.rollback()
    for connection in (first, second):
        connection.close()


def work_on_databases(server):
    strategies = [" STRATEGY wal_log", " STRATEGY file_copy"] if server.version >= 15 else [""]
    for number, strategy in enumerate(strategies):
        name = f"db{number}"
        server.script(f"CREATE DATABASE {name} TEMPLATE template0{strategy}")
        server.script("CREATE TABLE inside AS SELECT generate_series(1, 5000) i", dbname=name)
        server.script(f"ALTER DATABASE {name} SET TABLESPACE aside")
        server.script("UPDATE inside SET i = i + 1", "CREATE INDEX ON inside (i)",
                      "VACUUM inside", dbname=name)
        server.script(f"DROP DATABASE {name}")


@pytest.fixture(scope="module")
def worked(shared):
    """(server, directory with every WAL segment, their names)."""
    directory = shared.directory("wal")
    aside = shared.directory("aside")
    server = shared.server("worked")
    server.init(wal_segsize_mb=1, settings={
        "archive_command": f"cp %p {directory}/%f", "wal_level": "logical",
        "max_prepared_transactions": "5", "min_wal_size": "2MB", "max_wal_size": "12MB",
        "wal_keep_size": "128MB",
    }).start()
    server.script(f"CREATE TABLESPACE aside LOCATION '{aside}'")
    work_on_tables(server)
    work_in_transactions(server)
    work_on_databases(server)
    server.archive_all()
    yield server, directory, sorted(path.name for path in directory.iterdir() if len(path.name) == 24)
    server.stop()


def test_summaries_say_what_waldump_says(worked):
    """Each record of each resource manager that work makes, record by record."""
    server, directory, names = worked
    expected, managers = told_by_waldump(server, directory, names)
    told = told_by_summaries([directory / name for name in names])
    assert set(told) == {"all", *names}
    assert managers.keys() >= {
        "XLOG", "Transaction", "Storage", "Database", "Heap", "Heap2", "Btree", "Hash", "Gin",
        "Gist", "SPGist", "BRIN", "Sequence", "Generic", "LogicalMessage", "MultiXact"}
    for name, summary in told.items():
        assert summary.unfit == "-", name
        blocks, limits, renewed = summary.differences(expected[name])
        assert (sorted(blocks)[:5], sorted(limits)[:5], sorted(renewed)) == ([], [], []), name
    whole = told["all"]
    assert {fork for *_, fork, _ in whole.blocks} == {0, FORKS["vm"], FORKS["init"]}
    assert len(whole.limits) > 3000 and len(whole.renewed) >= 2
    assert len(names) > 20 and whole.blocks > set().union(
        *(told[name].blocks for name in names if name != names[0]))


def test_minimal_wal_is_never_summarised(worked, shared):
    """The records that say so make a stretch unusable that is otherwise without a gap."""
    server, _, names = worked
    server.stop()
    server.start({"wal_level": "minimal", "max_wal_senders": "0", "archive_mode": "off"})
    server.script("CREATE TABLE quiet AS SELECT generate_series(1, 20000)", "CHECKPOINT")
    server.stop()
    server.start()
    server.archive_all()
    last = server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    server.stop()
    made = shared.directory("minimal")
    for path in (server.data / "pg_wal").iterdir():
        if len(path.name) == 24 and names[-2] <= path.name <= last:
            (made / path.name).write_bytes(path.read_bytes())
    told = told_by_summaries(sorted(made.iterdir()))
    reasons = {name: summary.unfit for name, summary in told.items()}
    assert reasons["all"] == "wal_level was minimal", reasons
    assert set(reasons.values()) == {"-", "wal_level was minimal"}, reasons
