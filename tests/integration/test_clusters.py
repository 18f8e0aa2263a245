"""A source of two clusters: a repository that missed the decision, a restore over a directory of the
other cluster, and pg_rewind with the archive."""
import pytest

import place
from rowtable import insert, restored_rows, rows, use_its_programs
from test_upgrade import system_of, upgraded_pair


class GoneOn:
    """A source that went on with another cluster while its best-effort repository was away."""

    def __init__(self, ws):
        self.ws = ws
        self.old, self.backstay = ws.pair(programs=place.PG_OLD_BIN, wal_segsize_mb=1)
        self.other = ws.path / "other.repo"
        self.backstay.edit_config("sources:\n", f"  other: {{ path: {self.other}, key_file: "
                                                f"{self.backstay.key_file} }}\nsources:\n")
        self.backstay.edit_config("to: [local]", "to: [local, other]\n    best_effort: [other]")
        self.backstay.run("init")
        self.old_id = system_of(self.old)
        self.new = upgraded_pair(ws, self.old, self.backstay)
        self.other.chmod(0)
        self.backstay.backup("--new-cluster")
        insert(self.new, 10)
        self.new.archive_all()
        self.other.chmod(0o700)

    def decisions(self):
        return [sorted(path.name for path in (repository / "orders" / "decisions").rglob("*"))
                for repository in (self.backstay.repository, self.other)]


@pytest.fixture(scope="module")
def gone_on(shared):
    return GoneOn(shared)


def test_a_repository_that_missed_the_decision_gets_it(gone_on):
    """Until then it hides nothing, and the one that has the decision says what is current."""
    ws, backstay = gone_on.ws, gone_on.backstay
    assert gone_on.decisions()[0] and not gone_on.decisions()[1]
    assert restored_rows(ws, backstay, "both") == {1, 10}
    assert restored_rows(ws, backstay, "old", "--system", gone_on.old_id) == {1}
    backstay.backup()
    assert gone_on.decisions()[0] == gone_on.decisions()[1]
    assert restored_rows(ws, backstay, "other", "--repository", "other") == {1, 10}
    assert restored_rows(ws, backstay, "other-old", "--repository", "other", "--system",
                         gone_on.old_id) == {1}
    report = backstay.status()
    assert report["ok"], report["problems"]
    backstay.run("repo", "check", "local", "other")


def test_delta_over_a_directory_of_the_other_cluster(gone_on):
    """Of the files that are there none is reused unless its content is right."""
    ws, backstay = gone_on.ws, gone_on.backstay
    copy = ws.restored("delta")
    for args, expected in (((), {1, 10}), (("--system", gone_on.old_id), {1}), ((), {1, 10})):
        backstay.restore(copy.data, "--no-archive", "--delta", *args)
        use_its_programs(copy).start_restored()
        assert rows(copy) == expected
        assert (system_of(copy) == gone_on.old_id) == bool(args)
        copy.amcheck()
        copy.stop()


def test_pg_rewind_takes_the_wal_of_its_own_cluster(gone_on):
    """Its restore_command asks from outside, for a directory of which segments are gone. An older
    pg_rewind also removes the segments with which the next recovery begins, which asks in turn."""
    backstay, primary = gone_on.backstay, gone_on.new
    fetches = {"restore_command":
               f"{backstay.binary} -c {backstay.config} wal fetch orders %f %p"}
    copy = gone_on.ws.restored("promoted")
    backstay.restore(copy.data, "--no-archive")
    copy.start_restored()
    insert(copy, 40)
    expected = rows(copy)
    copy.stop()
    gone = []
    for row in (50, 51):
        insert(primary, row)
        gone.append(primary.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))
        primary.archive_all()
    primary.stop()
    for name in gone:
        (primary.data / "pg_wal" / name).unlink(missing_ok=True)
    primary.configure(fetches)
    result = primary.program("pg_rewind", "-c", "-D", primary.data, "--source-pgdata", copy.data)
    assert "Done!" in result.stdout + result.stderr
    primary.configure(fetches)  # its files of settings are now those of the copy
    (primary.data / "recovery.signal").touch()
    place.give_to_owner(primary.data / "recovery.signal")
    primary.start_restored()
    assert rows(primary) == expected
    primary.stop()
