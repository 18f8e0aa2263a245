"""A server's clock that was set back for longer than from one snapshot to the next."""
import re

import pytest

from test_targets import Clock

pytestmark = pytest.mark.once


class Scene:
    """The clock is right, then a day behind during two snapshots, then right again."""

    def __init__(self, shared):
        self.clock = Clock(shared, "steps")
        self.backstay, server = self.clock.backstay, self.clock.server
        self.rows = {}
        self.backstay.backup()
        self.mark("1", "2")
        server.archive_all()
        self.before = self.backstay.status()["notes"]
        self.clock.set("-1d")
        self.mark("3")
        self.first_back = server.value("SELECT pg_walfile_name(pg_current_wal_lsn())")
        for note in ("4", "5"):
            server.archive_all()
            self.backstay.backup()
            self.mark(note)
        self.clock.set("+0")
        self.mark("6", "7")
        server.archive_all()
        self.after = self.backstay.status()["notes"]
        server.stop()

    def mark(self, *notes):
        for note in notes:
            self.rows[note] = self.clock.server.mark(note)


@pytest.fixture(scope="module")
def scene(shared):
    return Scene(shared)


@pytest.mark.parametrize("note, wanted", [("1", 1), ("6", 6)])
def test_a_time_is_right_though_several_snapshots_are_dated_before_it(scene, shared, note, wanted):
    """The newest one below the target by its date has rows that are later than the target."""
    restored = shared.restored(f"steps-{note}")
    scene.backstay.restore(restored.data, "--at", scene.rows[note].commit_time, "--no-archive")
    restored.start_restored()
    assert restored.markers() == [str(number + 1) for number in range(wanted)]
    restored.stop()


def test_a_time_before_the_clock_was_set_back_is_asked_for(scene, shared):
    """Nothing was committed from there on to the next time that the clock came there."""
    result = scene.backstay.attempt("restore", "orders", "--to", shared.path / "never", "--at",
                                    scene.rows["2"].commit_time)
    assert result.status == 3 and "was set back" in result.stderr, result
    for number, wanted in enumerate((["1", "2"], ["1", "2", "3", "4", "5"])):
        target = re.findall(r"--at (lsn:\S+) --exclusive", result.stderr)[number]
        restored = shared.restored(f"steps-2-{number}")
        scene.backstay.restore(restored.data, "--at", target, "--exclusive", "--no-archive")
        restored.start_restored()
        assert restored.markers() == wanted
        restored.stop()


def test_status_notes_where_the_clock_was_set_back(scene):
    """Once, with the segment and both times; nothing while it ran well, or was set forward."""
    assert not [note for note in scene.before if "set back" in note]
    notes = [note for note in scene.after if "set back" in note]
    assert len(notes) == 1 and scene.first_back in notes[0], scene.after
    high, low = re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", notes[0])
    assert high >= scene.rows["2"].commit_time[:19] and low <= scene.rows["3"].commit_time[:19]
    assert high[:10] > low[:10]


# --- a clock that passes a time again far behind the next snapshot ---------------------------------

class FarScene:
    """The clock is right during three snapshots, then a day behind, with a snapshot, then right
    again: each time from the first rows on is passed again behind the last snapshot."""

    def __init__(self, clock):
        self.backstay, server = clock.backstay, clock.server
        self.rows = {}
        self.backstay.backup()
        for number in range(3):
            for note in (f"{number}a", f"{number}b"):
                self.rows[note] = server.mark(note)
            server.archive_all()
            self.backstay.backup()
        clock.set("-1d")
        self.rows["back"] = server.mark("back")
        server.archive_all()
        self.while_back = self.backstay.status()["notes"]
        self.at_end = self.plan("0a")
        self.backstay.backup()
        clock.set("+0")
        for note in ("again", "last"):
            self.rows[note] = server.mark(note)
        server.archive_all()
        self.notes = self.backstay.status()["notes"]
        server.stop()

    def plan(self, note):
        return self.backstay.attempt("restore", "orders", "--to", self.backstay.home / "never",
                                     "--dry-run", "--json", "--at", self.rows[note].commit_time)


@pytest.fixture(scope="module", params=["directory", "bucket"])
def far(request, shared, gateway):
    bucket = gateway.bucket() if request.param == "bucket" else None
    return FarScene(Clock(shared, f"far-{request.param}", bucket))


def test_a_time_that_is_passed_again_far_behind_is_told(far, shared):
    """Rows are those up to the first time; the plan has the other one."""
    for result in (far.at_end, far.plan("0a")):
        assert result.status == 0 and "passed it again" in result.json()["caution"], result
    restored = shared.restored(f"far-{far.backstay.name}")
    far.backstay.restore(restored.data, "--at", far.rows["0a"].commit_time, "--no-archive")
    restored.start_restored()
    assert restored.markers() == ["0a"]
    restored.stop()
    target = re.search(r"--at (lsn:\S+) --exclusive", far.plan("0a").json()["caution"]).group(1)
    restored = shared.restored(f"again-{far.backstay.name}")
    far.backstay.restore(restored.data, "--at", target, "--exclusive", "--no-archive")
    restored.start_restored()
    assert restored.markers()[-1] == "back"
    restored.stop()


def test_a_time_that_was_passed_once_is_not(far):
    assert far.plan("again").json()["caution"] is None


def test_status_notes_it_while_the_clock_is_back(far):
    for notes in (far.while_back, far.notes):
        assert len([note for note in notes if "set back" in note]) == 1, notes
