"""The table `rows`: what was inserted when, and what a restore brings back."""
import place


def insert(server, row):
    """A row; its transaction, the position after it, and a time after it."""
    with server.session() as cursor:
        cursor.execute("INSERT INTO rows VALUES (%s) RETURNING txid_current()", (row,))
        xid = cursor.fetchone()[0]
        cursor.execute("SELECT pg_current_wal_insert_lsn()::text")
        lsn = cursor.fetchone()[0]
        cursor.execute("SELECT pg_sleep(0.02), clock_timestamp()::text")
        time = cursor.fetchone()[1]
        cursor.execute("SELECT pg_sleep(0.02)")
    return {"row": row, "xid": xid, "lsn": lsn, "time": time}


def rows(server):
    return {row for row, in server.rows("SELECT i FROM rows")}


def use_its_programs(server):
    """Those of the version that a restored directory is of."""
    major = (server.data / "PG_VERSION").read_text(encoding="utf-8").strip()
    for programs in (place.PG_OLD_BIN, place.PG_BIN):
        server.programs = programs
        if server.major_of_programs() == int(major):
            return server
    raise LookupError(f"no programs of version {major}")


def restored_rows(ws, backstay, name, *args):
    """What is in a copy, which does not archive."""
    copy = ws.restored(name)
    backstay.restore(copy.data, "--no-archive", *args)
    use_its_programs(copy).start_restored()
    found = rows(copy)
    copy.stop()
    return found
