"""pg_upgrade: the source goes on with another cluster, and what was before stays restorable."""
import os
import re
import shutil
import signal
import tempfile
import threading

import pytest

import place
from pgserver import wait_for
from rowtable import insert, restored_rows

FAULTS = os.environ.get("BACKSTAY_FAULTS", str(place.ROOT / "build" / "faults" / "backstay"))


def system_of(server):
    return str(server.value("SELECT system_identifier FROM pg_control_system()"))


def upgrade(old, new):
    """The real pg_upgrade, of a server that is stopped; `new` is made, and has the same settings."""
    new.program("/usr/bin/env", "-C", old.home, new.programs / "pg_upgrade", "-b", old.programs,
                "-B", new.programs, "-d", old.data, "-D", new.data, "-s", old.home,
                "-U", "postgres", "-p", "50432", "-P", "50433")


def go_on(backstay, old, new):
    """What an operator changes: where the source's server is."""
    backstay.edit_config(old.conninfo(), new.conninfo())
    backstay.edit_config(f"data: {old.data}", f"data: {new.data}")
    backstay.server = new


class Upgraded:
    """A cluster with a snapshot and WAL, upgraded under a writer; rows and their targets outside."""

    def __init__(self, ws, old, backstay):
        self.ws, self.old, self.backstay = ws, old, backstay
        self.new = ws.server("new").init(wal_segsize_mb=1, settings={
            "archive_command": backstay.archive_command()})
        old.script("CREATE TABLE rows (i int)")
        self.before, self.after = [insert(old, 1)], []
        self.old_id = system_of(old)
        self.first = backstay.backup("--label", "old")["snapshot"]
        old.restore_point("both")
        self.write(old, self.before, 2, 5)
        old.archive_all()
        self.late = self.write_unarchived(old, 6)
        old.stop()
        upgrade(old, self.new)
        go_on(backstay, old, self.new)
        self.new.start()
        self.new_id = system_of(self.new)
        self.gap = insert(self.new, 20)

    @staticmethod
    def write_unarchived(server, row):
        """A row whose WAL the archiver does not get rid of any more."""
        server.configure({"archive_command": "false"})
        server.rows("SELECT pg_reload_conf()")
        wait_for("the setting", lambda: server.value("SHOW archive_command") == "false")
        return insert(server, row)

    @staticmethod
    def write(server, targets, first, last):
        """Rows between which a second writer fills segments."""
        ended = threading.Event()

        def fill():
            with server.session() as cursor:
                while not ended.is_set():
                    cursor.execute("INSERT INTO filler SELECT repeat('x', 500)"
                                   " FROM generate_series(1, 200)")

        server.script("CREATE TABLE IF NOT EXISTS filler (t text)")
        writer = threading.Thread(target=fill)
        writer.start()
        try:
            for row in range(first, last + 1):
                targets.append(insert(server, row))
                server.rows("SELECT pg_switch_wal()")
        finally:
            ended.set()
            writer.join()

    def go_on(self):
        self.second = self.backstay.backup("--new-cluster", "--label", "new")["snapshot"]
        self.new.restore_point("both")
        self.write(self.new, self.after, 30, 33)
        self.new.archive_all()

    def restored(self, name, *args):
        found = restored_rows(self.ws, self.backstay, name, *args)
        shutil.rmtree(self.ws.path / name)
        return found

    def new_objects(self):
        return self.backstay.objects(f"orders/wal/{int(self.new_id):016X}")

    def rows_up_to(self, row):
        return {target["row"] for target in [*self.before, self.late, self.gap, *self.after]
                if target["row"] <= row}


@pytest.fixture(scope="module")
def upgraded(shared):
    server, backstay = shared.pair(programs=place.PG_OLD_BIN, wal_segsize_mb=1)
    it = Upgraded(shared, server, backstay)
    it.refused = backstay.attempt("backup", "orders")
    wait_for("the archiver to fail", lambda: it.new.value(
        "SELECT failed_count FROM pg_stat_archiver") > 0)
    it.status_before = backstay.status()
    it.go_on()
    return it


def test_new_cluster_is_refused_until_it_is_declared(upgraded):
    assert upgraded.refused.status == 1
    for text in (upgraded.refused.stderr, "\n".join(upgraded.status_before["problems"])):
        assert "backup orders --new-cluster" in text and "guide-upgrade" in text, text
    assert "guide-upgrade" in upgraded.new.log.read_text(errors="replace")


def test_every_row_of_both_clusters_is_found_by_its_time(upgraded):
    for target in (upgraded.before[-2], upgraded.after[0]):
        assert upgraded.restored("time", "--at", target["time"]) == \
            upgraded.rows_up_to(target["row"])


def test_transactions_and_positions_are_found_in_their_cluster(upgraded):
    target = upgraded.before[2]
    assert upgraded.restored("xid", "--at", f"xid:{target['xid']}") == \
        upgraded.rows_up_to(target["row"])
    target = upgraded.after[1]
    assert upgraded.restored("lsn", "--at", f"lsn:{target['lsn']}") == \
        upgraded.rows_up_to(target["row"])


def test_latest_is_of_the_new_cluster_and_of_the_old_one_by_name(upgraded):
    everything = upgraded.rows_up_to(99)
    assert upgraded.restored("latest") == everything
    assert upgraded.restored("old", "--system", upgraded.old_id) == upgraded.rows_up_to(5)
    assert upgraded.restored("first", "--at", upgraded.first) == {1}


def test_a_time_in_the_gap_is_refused_with_both_neighbours(upgraded):
    result = upgraded.backstay.fails(3, "cannot be reached in any of its 2 clusters", "restore",
                                     "orders", "--to", upgraded.ws.path / "gap", "--at",
                                     upgraded.gap["time"])
    assert f"--at {upgraded.second}" in result.stderr and upgraded.old_id in result.stderr


def test_a_name_in_both_clusters_is_refused_with_the_commands(upgraded):
    result = upgraded.backstay.fails(3, "in 2 clusters", "restore", "orders", "--to",
                                     upgraded.ws.path / "both", "--at", "name:both")
    for system in (upgraded.old_id, upgraded.new_id):
        assert f"--at name:both --system {system}" in result.stderr
    assert upgraded.restored("both", "--at", "name:both", "--system", upgraded.old_id) == {1}


def test_reports_have_both_clusters(upgraded):
    report = upgraded.backstay.status()
    assert report["ok"], report["problems"]
    assert [(one["system_identifier"], one["current"]) for one in report["clusters"]] == \
        [(upgraded.old_id, False), (upgraded.new_id, True)]
    assert {window["system_identifier"] for window in report["windows"]} == {upgraded.new_id}
    assert {window["system_identifier"] for window in report["former_windows"]} == \
        {upgraded.old_id}
    assert report["last_snapshot"]["snapshot"] == upgraded.second
    listed = [row["snapshot"] for row in upgraded.backstay.snapshots()]
    assert listed == [upgraded.first, upgraded.second]
    upgraded.backstay.run("repo", "check", "local")
    timeline = upgraded.backstay.json("events", "orders", "--system", upgraded.old_id)
    assert timeline["segments"] > 0
    decisions = upgraded.backstay.json("line", "list", "orders")["decisions"]
    assert [one["decision"] for one in decisions] == ["cluster"]


def test_the_first_snapshot_of_the_new_cluster_is_full(upgraded):
    old, new = upgraded.backstay.snapshots()
    assert new["mode"] == "full" and new["parent"] is None
    assert old["system_id"] == upgraded.old_id
    assert new["system_id"] == upgraded.new_id


def test_wal_of_one_name_is_never_that_of_the_other_cluster(upgraded):
    """Asked from a data directory, the cluster is that of its pg_control; from nowhere it is refused."""
    names = {}
    for path in upgraded.backstay.objects("orders/wal"):
        names.setdefault(path.name, []).append(path)
    target = upgraded.ws.path / "fetched"
    name = sorted(name for name in names if len(name) == 24)[0]
    result = upgraded.backstay.attempt("wal", "fetch", "orders", name, target)
    assert result.status == 1 and "several clusters" in result.stderr, result
    upgraded.backstay.run("wal", "fetch", "orders", name, target, "--system", upgraded.old_id)
    result = upgraded.backstay.attempt("wal", "fetch", "orders", name,
                                       upgraded.new.data / "pg_wal" / "fetched")
    assert result.status in (1, 3) and not (upgraded.new.data / "pg_wal" / "fetched").exists(), result


def test_late_wal_of_the_old_cluster_is_taken_into_its_own_directory(upgraded):
    """What its archiver had not done at the time of the upgrade can be restored once it is pushed."""
    wal = upgraded.old.data / "pg_wal"
    late = sorted(path.stem for path in (wal / "archive_status").glob("*.ready"))
    archived = upgraded.backstay.repository / "orders" / "wal" / f"{int(upgraded.old_id):016X}"
    before = {path.name for path in archived.rglob("*")}
    others = upgraded.new_objects()
    assert late and before and not before & set(late)
    for name in late:
        upgraded.backstay.run("wal", "push", "orders", wal / name)
    assert {path.name for path in archived.rglob("*")} >= before | set(late)
    assert upgraded.new_objects() == others
    report = upgraded.backstay.status()
    assert report["ok"], report["problems"]
    assert any(f"WAL of cluster {upgraded.old_id} still arrived" in note
               for note in report["notes"]), report["notes"]
    assert upgraded.restored("late", "--system", upgraded.old_id) == upgraded.rows_up_to(6)
    assert upgraded.restored("late-xid", "--at", f"xid:{upgraded.late['xid']}") == \
        upgraded.rows_up_to(6)


def test_copy_brings_both_clusters_and_the_decision(upgraded):
    backstay = upgraded.backstay
    backstay.edit_config("sources:\n", f"  other: {{ path: {upgraded.ws.path}/other.repo, key_file: "
                                       f"{backstay.key_file} }}\nsources:\n")
    backstay.edit_config("to: [local]", "to: [local, other]")
    backstay.run("init")
    backstay.run("copy", "orders", "--from", "local", "--to", "other")
    other = upgraded.ws.path / "other.repo"
    for directory in ("orders/snapshots", "orders/decisions"):
        assert {path.relative_to(backstay.repository) for path in backstay.objects(directory)} == \
            {path.relative_to(other) for path in (other / directory).rglob("*") if path.is_file()}
    assert upgraded.restored("copied", "--repository", "other") == upgraded.rows_up_to(99)
    assert upgraded.restored("copied-old", "--repository", "other", "--system",
                             upgraded.old_id) == upgraded.rows_up_to(6)


@pytest.fixture(scope="module")
def faults():
    """A build that can be killed at a point."""
    with tempfile.TemporaryDirectory() as base:
        os.chmod(base, 0o755)
        yield place.staged_binary("BACKSTAY_FAULTS", FAULTS, base)


def upgraded_pair(ws, server, backstay):
    """A cluster with a row, a snapshot and WAL, upgraded; nobody has decided about the new one."""
    server.script("CREATE TABLE rows (i int)")
    insert(server, 1)
    backstay.backup()
    server.archive_all()
    server.stop()
    new = ws.server("new").init(wal_segsize_mb=1,
                                settings={"archive_command": backstay.archive_command()})
    upgrade(server, new)
    go_on(backstay, server, new)
    return new.start()


def test_killed_between_the_decision_and_the_backup(ws, faults):
    """The decision lasts: WAL is taken, status says what to do, and a plain backup goes on."""
    old, backstay = ws.pair(programs=place.PG_OLD_BIN, wal_segsize_mb=1)
    new = upgraded_pair(ws, old, backstay)
    first = backstay.complete()
    result = backstay.attempt("backup", "orders", "--new-cluster", binary=faults,
                              env={"BACKSTAY_FAULT": "backup.begin:kill"})
    assert result.status == -signal.SIGKILL, result
    assert backstay.complete() == first
    new.archive_all()
    assert any("no snapshot yet" in text for text in backstay.status()["problems"])
    refused = backstay.fails(3, "no snapshot yet", "restore", "orders", "--to", ws.path / "x")
    assert f"--system {backstay.snapshots()[0]['system_id']}" in refused.stderr
    refuse_former(backstay, new, old)
    backstay.next_backup()
    assert backstay.status()["ok"]
    assert restored_rows(ws, backstay, "copy") == {1}


def refuse_former(backstay, current, former):
    """A plain backup of a server that is a former cluster is refused, with the command."""
    before = backstay.snapshots()
    go_on(backstay, current, former)
    former.start()
    backstay.fails(1, "was continued with another cluster .* backup orders --new-cluster", "backup",
                   "orders")
    former.stop()
    assert [row["snapshot"] for row in backstay.snapshots()] == [row["snapshot"] for row in before]
    go_on(backstay, former, current)


def guide_commands(heading):
    """The shell lines of a section of the guide."""
    text = (place.ROOT / "docs" / "guide-upgrade.md").read_text(encoding="utf-8")
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    found = [line.split() for block in re.findall(r"```sh\n(.*?)```", section, re.S)
             for line in block.splitlines() if line.strip()]
    assert found and all(words[0] == "backstay" for words in found), heading
    return [words[1:] for words in found]


def go_up_and_back(ws, old, backstay):
    """By the guide's commands; both clusters keep what they have."""
    new = upgraded_pair(ws, old, backstay)
    ids = [system_of(new)]
    backstay.fails(1, "guide-upgrade", "backup", "orders")
    [up] = guide_commands("In which order")
    backstay.run(*up)
    insert(new, 10)
    new.archive_all()
    assert restored_rows(ws, backstay, "up") == {1, 10}
    refuse_former(backstay, new, old)

    old.start()  # while the new one archives
    ids.append(system_of(old))
    insert(old, 2)
    old.archive_all()
    assert any(text.startswith("two servers archive") and ids[1] in text
               for text in backstay.status()["problems"]), backstay.status()["problems"]
    new.stop()
    go_on(backstay, new, old)
    assert any("backup orders --new-cluster" in text for text in backstay.status()["problems"])
    [back] = guide_commands("Back to the old cluster")
    backstay.run(*back)
    insert(old, 3)
    old.archive_all()
    report = backstay.status()
    assert report["ok"], report["problems"]
    assert [(one["system_identifier"], one["current"]) for one in report["clusters"]] == \
        [(ids[0], False), (ids[1], True)]
    assert restored_rows(ws, backstay, "back") == {1, 2, 3}
    assert restored_rows(ws, backstay, "given-up", "--system", ids[0]) == {1, 10}
    backstay.backup()  # a plain one goes on


def test_going_back_to_the_old_cluster(ws):
    go_up_and_back(ws, *ws.pair(programs=place.PG_OLD_BIN, wal_segsize_mb=1))


@pytest.mark.once
def test_going_back_with_a_bucket(ws, gateway):
    """Where the host notes which clusters are the source's, that refuses and allows the same."""
    go_up_and_back(ws, *ws.bucket_pair(gateway.bucket(), programs=place.PG_OLD_BIN,
                                       wal_segsize_mb=1))
