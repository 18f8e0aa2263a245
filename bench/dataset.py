"""The data that is backed up: built once in a directory, and recognised there the next time.

`full` is about 4 GB, `quarter` a quarter of it in every respect, `files` holds 50,000 tables of
one page, and `wal` is a data directory with 100 segments that wait to be archived. Random
numbers are seeded: two runs build the same rows.
"""
import os
import random
import shutil
import subprocess
import threading
import time

RECIPE = "1"  # raise it when what is built changes
SMALL_FILES = 50000
SEGMENTS = 100
SIZES = {"full": 1.0, "quarter": 0.25}


def build(cluster, say):
    """Makes sure that `cluster` exists and holds its data."""
    if _is_built(cluster.data):
        return
    say(f"building data set {cluster.name} …")
    started = time.monotonic()
    shutil.rmtree(cluster.data, ignore_errors=True)
    cluster.create()
    cluster.start(loading=True)
    if cluster.name == "files":
        _load_small_files(cluster)
    else:
        _load_mixture(cluster, SIZES[cluster.name])
        cluster.sql("VACUUM (FREEZE, ANALYZE)")
    cluster.stop()
    _mark_built(cluster.data)
    say(f"built {cluster.name}: {cluster.bytes() / 1e9:.2f} GB in {cluster.files()} files, "
        f"{time.monotonic() - started:.0f} s")


def build_copy(cluster, base, statements, say):
    """Makes sure that `cluster` exists: a copy of `base` on which `statements` were run, so that
    trials may change it and leave the other one as it is."""
    if _is_built(cluster.data):
        return
    say(f"building data set {cluster.name} from {base.name} …")
    shutil.rmtree(cluster.data, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", base.data, cluster.data], check=True)
    cluster.start(loading=True)
    for statement in statements:
        cluster.sql(statement)
    cluster.sql("VACUUM (FREEZE, ANALYZE)")
    cluster.stop()
    _mark_built(cluster.data)
    say(f"built {cluster.name}: {cluster.bytes() / 1e9:.2f} GB in {cluster.files()} files")


def _is_built(path):
    try:
        with open(path + ".built") as mark:
            return mark.read().strip() == RECIPE
    except OSError:
        return False


def _mark_built(path):
    with open(path + ".built", "w") as mark:
        mark.write(RECIPE + "\n")


def _load_mixture(cluster, size):
    loads = [
        lambda: subprocess.run(cluster.client("pgbench", "-i", "-q", "-s", str(round(93 * size)),
                                              "postgres"), check=True, capture_output=True),
        lambda: _load_small_tables(cluster, round(2000 * size)),
        lambda: _load_uuids(cluster, round(4_600_000 * size)),
    ]
    server_side = threading.Thread(target=lambda: [load() for load in loads])
    server_side.start()  # two sessions at once: the generator here and the server's own work
    _load_texts(cluster, round(1_550_000 * size))
    _load_events(cluster, round(1_950_000 * size))
    server_side.join()


def _copy(cluster, create, table, rows, finish):
    cluster.sql(create)
    with subprocess.Popen(cluster.client("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-c",
                                         f"COPY {table} FROM STDIN", "postgres"),
                          stdin=subprocess.PIPE, text=True) as psql:
        psql.stdin.writelines(rows)
        psql.stdin.close()
        if psql.wait() != 0:
            raise RuntimeError(f"loading {table} failed")
    cluster.sql(finish)


def _phrases(rng, count):
    """Phrases of two or three invented words, common words being common."""
    syllables = [a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "on")]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(5000)]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    picked = iter(rng.choices(words, weights, k=3 * count))
    return [" ".join((next(picked), next(picked), next(picked))) for _ in range(count)]


def _load_texts(cluster, count):
    rng = random.Random(1)
    phrases = _phrases(rng, 200_000)
    rows = (f"{number}\t{rng.choice(phrases)}\t{' '.join(rng.choices(phrases, k=10 + number % 35))}\n"
            for number in range(count))
    _copy(cluster, "CREATE TABLE articles (id bigint, title text, body text)", "articles", rows,
          "ALTER TABLE articles ADD PRIMARY KEY (id); CREATE INDEX ON articles (title)")


def _load_events(cluster, count):
    rng = random.Random(2)
    phrases = _phrases(rng, 50_000)
    kinds = ["view", "cart", "order", "refund", "login"]
    rows = ('%d\t{"kind": "%s", "user": %d, "price": %.2f, "session": "%032x", '
            '"items": [%d, %d, %d], "note": "%s", "mobile": %s}\n'
            % (number, kinds[number % 5], rng.randrange(1 << 20), rng.random() * 900,
               rng.getrandbits(128), rng.randrange(9999), rng.randrange(9999), rng.randrange(9999),
               phrases[number % 50_000], "true" if number % 3 else "false")
            for number in range(count))
    _copy(cluster, "CREATE TABLE events (id bigint, data jsonb)", "events", rows,
          "ALTER TABLE events ADD PRIMARY KEY (id); "
          "CREATE INDEX ON events ((data->>'user')); CREATE INDEX ON events ((data->>'kind'))")


def _load_uuids(cluster, count):
    cluster.sql(
        "CREATE TABLE tokens AS SELECT gen_random_uuid() AS id, gen_random_uuid() AS owner, "
        "timestamptz '2026-01-01' + number * interval '1 second' AS created "
        f"FROM generate_series(1, {count}) AS number;"
        "ALTER TABLE tokens ADD PRIMARY KEY (id); CREATE INDEX ON tokens (owner, created)")


def _load_small_tables(cluster, count):
    cluster.sql(f"""DO $$ BEGIN FOR i IN 1..{count} LOOP
        EXECUTE format('CREATE TABLE small_%s AS SELECT n AS id, md5(n::text) AS value
                        FROM generate_series(1, %s) AS n', i, 50 + i % 700);
        EXECUTE format('ALTER TABLE small_%s ADD PRIMARY KEY (id)', i);
        IF i % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$""")


def _load_small_files(cluster):
    cluster.sql(f"""DO $$ BEGIN FOR i IN 1..{SMALL_FILES} LOOP
        EXECUTE format('CREATE TABLE small_%s AS SELECT n AS id, random() AS value
                        FROM generate_series(1, 150) AS n', i);
        IF i % 200 = 0 THEN COMMIT; END IF; END LOOP; END $$""")


def build_wal(cluster, path, say):
    """Makes `path` a data directory at rest whose pg_wal holds SEGMENTS real segments, taken from
    `cluster` at work."""
    if _is_built(path):
        return
    say(f"building data set wal: {SEGMENTS} segments …")
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(os.path.join(path, "pg_wal/archive_status"))
    os.makedirs(os.path.join(path, "global"))
    cluster.start()
    target = os.path.join(path, "pg_wal")
    cluster.archive_with("/bin/true")
    cluster.sql(f"ALTER SYSTEM SET archive_command = 'cp %p {target}/%f';"
                "ALTER SYSTEM SET synchronous_commit = off")
    cluster.sql("SELECT pg_reload_conf()")
    while len(segments(path)) <= SEGMENTS:
        _write_some_wal(cluster)
    cluster.stop()
    for extra in segments(path)[SEGMENTS:]:
        os.unlink(os.path.join(target, extra))
    for name in ("PG_VERSION", "global/pg_control"):
        shutil.copy(os.path.join(cluster.data, name), os.path.join(path, name))
    os.chmod(path, 0o700)
    _mark_built(path)


def _write_some_wal(cluster):
    """Short transactions and a bulk load, after a checkpoint: small records and page images."""
    cluster.sql("CHECKPOINT")
    subprocess.run(cluster.client("pgbench", "-n", "-c", "8", "-j", "2", "-T", "4", "postgres"),
                   check=True, capture_output=True)
    cluster.sql("CREATE TABLE IF NOT EXISTS imported (LIKE events INCLUDING ALL);"
                "TRUNCATE imported; INSERT INTO imported SELECT * FROM events LIMIT 100000")


def segments(path):
    return sorted(name for name in os.listdir(os.path.join(path, "pg_wal")) if len(name) == 24)
