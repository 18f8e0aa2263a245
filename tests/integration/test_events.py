"""backstay events: whoever lost data finds when, and gets back the state just before it."""
import dataclasses
import datetime
import re
import shutil

import psycopg2
import pytest

import place
from backstay import Backstay
from pgserver import PgServer

ROWS = 3000


@dataclasses.dataclass
class Story:
    """Accidents on one cluster, by name: the number of each transaction."""
    server: PgServer
    backstay: Backstay
    xids: dict
    times: dict


def accident(story, name, *statements, dbname="postgres", commit=True):
    """Runs statements in one transaction and keeps its number, and moments around it."""
    connection = psycopg2.connect(story.server.conninfo(dbname=dbname))
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()::text")
            before = cursor.fetchone()[0]
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("SELECT txid_current_if_assigned()::text::bigint % (2^32)::bigint")
            story.xids[name] = cursor.fetchone()[0]
            if commit:
                connection.commit()
            else:
                connection.rollback()
            cursor.execute("SELECT clock_timestamp()::text")
            story.times[name] = (before, cursor.fetchone()[0])
    finally:
        connection.close()


def table(name, rows=ROWS):
    return (f"CREATE TABLE {name} (id int PRIMARY KEY, note text)",
            f"INSERT INTO {name} SELECT i, 'row ' || i FROM generate_series(1, {rows}) i")


TABLES = ["dropped", "truncated", "refilled", "vacuumed", "clustered", "altered", "deleted",
          "cascade.a", "cascade.b", "kept", "prepared", "saved", "twice"]


@pytest.fixture(scope="module")
def story(shared):
    server, backstay = shared.pair(settings={"max_prepared_transactions": "4",
                                             "wal_compression": "on"})
    told = Story(server, backstay, {}, {})
    server.script("CREATE SCHEMA cascade", "CREATE DATABASE shop",
                  *(statement for name in TABLES for statement in table(name)))
    server.script(*table("goods"), dbname="shop")
    server.script("CREATE TABLE parts (id int, day int) PARTITION BY LIST (day)",
                  *(f"CREATE TABLE part{i} PARTITION OF parts FOR VALUES IN ({i})"
                    for i in range(5)),
                  "INSERT INTO parts SELECT i, i % 5 FROM generate_series(1, 2000) i")
    backstay.backup()
    # Since the snapshot: names that only the WAL knows.
    server.script(*table("late"), "ALTER TABLE twice RENAME TO renamed",
                  "CREATE SCHEMA newer", *table("newer.made"))
    accident(told, "drop", "DROP TABLE dropped")
    accident(told, "rolled back", "DROP TABLE kept", "DELETE FROM deleted", commit=False)
    accident(told, "truncate", "TRUNCATE truncated")
    accident(told, "refill", "TRUNCATE refilled", "INSERT INTO refilled VALUES (1, 'only')")
    server.script("VACUUM (FULL) vacuumed")
    accident(told, "cluster", "CLUSTER clustered USING clustered_pkey")
    accident(told, "alter", "ALTER TABLE altered ALTER COLUMN id TYPE bigint")
    accident(told, "few", "DELETE FROM kept WHERE id <= 999")
    accident(told, "delete", "DELETE FROM deleted WHERE id > 1000")
    accident(told, "parts", "DELETE FROM parts")
    accident(told, "cascade", "DROP SCHEMA cascade CASCADE")
    backstay.backup()
    accident(told, "late", "DROP TABLE late, newer.made")
    accident(told, "rewrite once", "CLUSTER renamed USING twice_pkey")
    accident(told, "drop rewritten", "DROP TABLE renamed")
    accident(told, "subtransactions", "SAVEPOINT a", "DELETE FROM saved WHERE id <= 1500",
             "RELEASE a", "SAVEPOINT b", "DROP TABLE saved", "ROLLBACK TO b",
             "SAVEPOINT c", "DELETE FROM saved WHERE id > 2800", "RELEASE c")
    accident(told, "create and drop", "CREATE TABLE brief (i int)", "DROP TABLE brief")
    prepare(told)
    for name, strategy in copies(server):
        server.script(f"CREATE DATABASE {name} TEMPLATE shop {strategy}")
        accident(told, name, "DROP TABLE goods", dbname=name)
    server.script("REINDEX TABLE kept", "VACUUM (FULL) pg_class", "DROP DATABASE shop")
    accident(told, "after", "CREATE TABLE after_all (i int)")
    server.archive_all()
    yield told
    server.stop()


def copies(server):
    """Databases made as a copy: their relations' names are in no row that the WAL inserts."""
    if server.version < 15:
        return [("outlet", "")]
    return [("outlet", "STRATEGY file_copy"), ("market", "STRATEGY wal_log")]


def prepare(story):
    connection = psycopg2.connect(story.server.conninfo())
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("DROP TABLE prepared")
        cursor.execute("SELECT txid_current()::text::bigint % (2^32)::bigint")
        story.xids["prepared"] = cursor.fetchone()[0]
        cursor.execute("PREPARE TRANSACTION 'later'")
        cursor.execute("COMMIT PREPARED 'later'")
    connection.close()


@pytest.fixture(scope="module")
def report(story):
    return story.backstay.json("events", "orders")


def named(change):
    if change["what"] == "dropped database":
        return (change["what"], change["database"])
    name = f"{change['schema']}.{change['relation']}"
    return (change["what"], name, change["rows"]) if "rows" in change else (change["what"], name)


def event(report, xid):
    found = [each for each in report["events"] if each["xid"] == xid]
    assert len(found) <= 1
    return found[0] if found else None


def changes(report, xid):
    found = event(report, xid)
    return sorted(named(change) for change in found["changes"]) if found else None


EXPECTED = {
    "drop": [("dropped", "public.dropped")],
    "rolled back": None,
    "truncate": [("truncated", "public.truncated")],
    "refill": [("truncated", "public.refilled")],
    "cluster": [("rewrote", "public.clustered")],
    "alter": [("rewrote", "public.altered")],
    "few": None,
    "delete": [("deleted", "public.deleted", ROWS - 1000)],
    "parts": [("deleted", f"public.part{i}", 400) for i in range(5)],
    "cascade": [("dropped", "cascade.a"), ("dropped", "cascade.b")],
    "late": [("dropped", "newer.made"), ("dropped", "public.late")],
    "rewrite once": [("rewrote", "public.renamed")],
    "drop rewritten": [("dropped", "public.renamed")],
    "subtransactions": [("deleted", "public.saved", 1700)],
    "create and drop": None,
    "prepared": [("dropped", "public.prepared")],
    "outlet": [("dropped", "public.goods")],
    "market": [("dropped", "public.goods")],
    "after": None,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_transaction_is_told_for_what_it_was(story, report, name):
    if name in dict(copies(story.server)) or name in story.xids:
        assert changes(report, story.xids[name]) == EXPECTED[name]


@pytest.mark.quick
def test_nothing_else_is_told(story, report):
    """Only the accidents, in their order; VACUUM FULL and DROP DATABASE have no number here."""
    known = set(story.xids.values())
    others = [[named(change) for change in each["changes"]] for each in report["events"]
              if each["xid"] not in known]
    assert others == [[("rewrote", "public.vacuumed")], [("dropped database", "shop")]]
    times = [each["time"] for each in report["events"]]
    assert times == sorted(times)
    assert report["omitted"] == 0 and report["problems"] == []
    assert not any(each["partial"] for each in report["events"])
    assert all(each["prepared"] == (each["xid"] == story.xids["prepared"])
               for each in report["events"])


def test_a_line_for_a_person(story, report):
    """One line per transaction, which ends with what to give to restore."""
    lines = story.backstay.run("events", "orders").stdout.splitlines()
    assert len(lines) == len(report["events"])
    for line, each in zip(lines, report["events"]):
        assert line.startswith(each["time"]) and f"xid {each['xid']} " in line
        assert line.endswith("  " + " ".join(each["restore"]))
    shown = [line for line in lines if f"xid {story.xids['cascade']} " in line]
    assert re.search(r"  postgres: dropped cascade\.[ab], cascade\.[ab]  --at lsn:", shown[0])


def test_moments_and_threshold(story):
    """--from and --to take what restore's times do; --min-deletes moves the threshold."""
    before, after = story.times["delete"]
    inside = story.backstay.json("events", "orders", "--from", before, "--to", after)
    assert [each["xid"] for each in inside["events"]] == [story.xids["delete"]]
    iso = datetime.datetime.fromisoformat(before + ":00").isoformat()
    later = story.backstay.json("events", "orders", "--from", iso)
    assert story.xids["delete"] in [each["xid"] for each in later["events"]]
    assert story.xids["truncate"] not in [each["xid"] for each in later["events"]]
    low = story.backstay.json("events", "orders", "--min-deletes", "999")
    assert changes(low, story.xids["few"]) == [("deleted", "public.kept", 999)]
    high = story.backstay.json("events", "orders", "--min-deletes", "2001")
    assert changes(high, story.xids["delete"]) is None
    empty = story.backstay.run("events", "orders", "--to", "2001-01-01 00:00:00+00")
    assert empty.stdout.startswith("No transaction")


def test_wrong_usage(story):
    story.backstay.fails(2, '--from "nonsense": ', "events", "orders", "--from", "nonsense")
    story.backstay.fails(2, "later than", "events", "orders", "--from", "2026-01-02",
                         "--to", "2026-01-01")
    story.backstay.fails(3, "no snapshot leads to timeline 7", "events", "orders",
                         "--timeline", "7")


def restore_before(shared, story, report, xid, name):
    restored = shared.restored(name)
    arguments = event(report, xid)["restore"]
    story.backstay.restore(restored.data, *arguments)
    return restored.start_restored()


COUNTS = {
    "drop": ("dropped", ROWS),
    "truncate": ("truncated", ROWS),
    "delete": ("deleted", ROWS),
    "cascade": ("cascade.b", ROWS),
    "late": ("newer.made", ROWS),
    "subtransactions": ("saved", ROWS),
}


@pytest.mark.parametrize("name", COUNTS)
def test_the_state_just_before_comes_back(shared, story, report, name):
    """What the transaction did is not there, what was before it is."""
    restored = restore_before(shared, story, report, story.xids[name], "to-" + name)
    relation, rows = COUNTS[name]
    assert restored.value(f"SELECT count(*) FROM {relation}") == rows
    if name == "delete":
        assert restored.value("SELECT count(*) FROM kept") == ROWS - 999, "the one before is there"
        assert restored.value("SELECT to_regclass('dropped')") is None
    restored.amcheck()
    restored.stop()


def test_a_prepared_drop_is_undone_by_rolling_it_back(shared, story, report):
    """Before COMMIT PREPARED it is prepared: rolling it back gives the table."""
    restored = restore_before(shared, story, report, story.xids["prepared"], "to-prepared")
    assert restored.rows("SELECT gid FROM pg_prepared_xacts") == [("later",)]
    restored.script("ROLLBACK PREPARED 'later'")
    assert restored.value("SELECT count(*) FROM prepared") == ROWS
    restored.stop()


def test_a_dropped_database_comes_back(shared, story, report):
    """Its files are removed, and it is marked invalid, before the transaction commits: the
    position is before that."""
    dropped = [each for each in report["events"]
               if each["changes"][0]["what"] == "dropped database"]
    restored = restore_before(shared, story, report, dropped[0]["xid"], "to-database")
    assert restored.value("SELECT count(*) FROM goods", dbname="shop") == ROWS
    assert restored.value("SELECT to_regclass('prepared')") is None, "the one before is there"
    restored.stop()


def test_names_from_the_server_when_the_snapshot_tells_none(shared, story, report):
    """Snapshots whose packs are gone name nothing: then what is still there has the server's
    names, the rest its numbers, and the position is told all the same."""
    broken = Backstay(story.backstay.binary, shared.path, story.server, name="broken")
    shutil.copytree(story.backstay.repository, broken.repository)
    shutil.copy2(story.backstay.key_file, broken.key_file)
    for path in [broken.key_file, broken.repository, *broken.repository.rglob("*")]:
        place.give_to_owner(path)
    for pack in broken.objects("orders/packs"):
        pack.unlink()
    result = broken.run("events", "orders", "--json")
    assert "names of relations are incomplete" in result.stderr
    told = result.json()
    assert changes(told, story.xids["delete"]) == EXPECTED["delete"]
    assert changes(told, story.xids["late"]) == EXPECTED["late"], "the WAL tells"
    numbers = event(told, story.xids["drop"])
    assert numbers["restore"] == event(report, story.xids["drop"])["restore"]
    assert numbers["database"] == "postgres"
    assert all(change["relation"] is None and change["file_node"] >= 16384
               for change in numbers["changes"])
    line = [line for line in broken.run("events", "orders").stdout.splitlines()
            if f"xid {story.xids['drop']} " in line]
    assert ": dropped file 1663/" in line[0]


def test_it_works_without_the_server(story, report):
    """In the worst hour there is none."""
    story.server.stop()
    assert story.backstay.json("events", "orders")["events"] == report["events"]


def test_the_other_way_after_a_promotion(ws):
    """After a recovery to the wrong moment, the old life is timeline 1: lines say so."""
    server, backstay = ws.pair()
    server.script(*table("orders"))
    backstay.backup()
    server.script(*table("items"), "DROP TABLE items")
    server.restore_point("here")
    server.script("DROP TABLE orders")
    server.archive_all()
    server.stop()
    restored = ws.restored("promoted")
    backstay.restore(restored.data, "--at", "name:here")
    restored.start_restored({"archive_mode": "on"})
    restored.script("TRUNCATE orders")
    restored.archive_all()
    now = backstay.json("events", "orders")
    assert now["timeline"] == 2
    assert [named(each["changes"][0]) for each in now["events"]] == [
        ("dropped", "public.items"), ("truncated", "public.orders")]
    assert now["events"][1]["restore"][:3] == ["--timeline", "2", "--at"]
    old = backstay.json("events", "orders", "--timeline", "1")
    assert [named(each["changes"][0]) for each in old["events"]] == [
        ("dropped", "public.items"), ("dropped", "public.orders")]
    arguments = old["events"][1]["restore"]
    assert arguments[:2] == ["--timeline", "1"]
    before = ws.restored("before")
    backstay.restore(before.data, *arguments)
    before.start_restored()
    assert before.value("SELECT count(*) FROM orders") == ROWS


def test_moves_refreshes_and_what_belongs_to_a_session(ws):
    server, backstay = ws.pair()
    space = ws.directory("space")
    server.script(*table("moved"), f"CREATE TABLESPACE elsewhere LOCATION '{space}'",
                  "CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM moved",
                  "CREATE VIEW plain AS SELECT 1")
    backstay.backup()
    server.script("ALTER TABLE moved SET TABLESPACE elsewhere",
                  "CREATE TEMP TABLE brief AS SELECT * FROM moved",
                  "CREATE TEMP VIEW glance AS SELECT 1", "DELETE FROM brief", "DROP TABLE brief",
                  "DROP VIEW glance", "REFRESH MATERIALIZED VIEW summary",
                  "ALTER SEQUENCE IF EXISTS none RESTART", "DROP VIEW plain",
                  "DROP MATERIALIZED VIEW summary", "TRUNCATE moved", "DROP TABLE moved")
    server.archive_all()
    events = backstay.json("events", "orders")["events"]
    assert [[named(change) for change in each["changes"]] for each in events] == [
        [("rewrote", "public.moved")], [("rewrote", "public.summary")],
        [("dropped", "public.plain")], [("dropped", "public.summary")],
        [("truncated", "public.moved")], [("dropped", "public.moved")]]


def test_missing_wal_is_told_of(ws):
    """A gap hides what happened in it, and says so; what is behind a later snapshot is shown."""
    server, backstay = ws.pair()
    server.script(*table("first"), *table("second"), *table("third"))
    backstay.backup()
    server.script("DROP TABLE first")
    server.archive_all()
    server.script("DROP TABLE second")
    gap = server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
    server.archive_all()
    server.script("CHECKPOINT")
    server.archive_all()
    backstay.backup()
    server.script("DROP TABLE third")
    server.archive_all()
    lost = [path for path in backstay.objects("orders/wal") if path.name == gap]
    assert len(lost) == 1
    lost[0].unlink()
    result = backstay.run("events", "orders", "--json")
    report = result.json()
    assert [named(each["changes"][0])[1] for each in report["events"]] == [
        "public.first", "public.third"]
    problem, = report["problems"]
    assert problem["code"] == "wal_skipped" and gap in problem["text"]
    assert problem["text"] in result.stderr


def test_nothing_to_read(shared):
    empty = shared.backstay(name="empty")
    empty.run("init")
    empty.fails(3, "no snapshot", "events", "orders")
