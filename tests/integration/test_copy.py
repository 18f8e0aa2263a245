"""Copies between two repositories: what they bring, what interrupts them, and a recovery from the
second repository alone; `repo list` and `repo check`, which tell the two apart."""
import shutil
import signal

import pytest

import compare
import place
from backstay import interrupt, read_problems
from pgserver import segment_name, wait_for

pytestmark = pytest.mark.once


def add_repository(backstay, name="offsite"):
    """Another repository of the configuration, to which no source is backed up. Its path."""
    path = backstay.home / name
    backstay.edit_config("sources:\n",
                         f"  {name}: {{ path: {path}, key_file: {path}.key }}\nsources:\n")
    backstay.run("init")
    return path


def objects(repository):
    """{name: content} of all that a copy is to bring."""
    return {str(path.relative_to(repository)): path.read_bytes()
            for directory in ("snapshots", "packs", "wal")
            for path in (repository / "orders" / directory).rglob("*") if path.is_file()}


def worth_copying(backstay):
    """What a copy of everything brings: not the WAL before the first snapshot."""
    first = segment_name(backstay.snapshots()[0]["start_lsn"])
    return {name: content for name, content in objects(backstay.repository).items()
            if "/wal/" not in name or name.rsplit("/", 1)[1][:24] >= first}


def copy(backstay, *args):
    return backstay.json("copy", "orders", "--from", "local", "--to", "offsite", *args)


def check(backstay, status, *args):
    result = backstay.attempt("repo", "check", *args, "--json")
    assert result.status == status, result
    report = result.json()
    for source in report["sources"]:
        read_problems(source)
    return report


def alone(ws, backstay, name):
    """The program on an empty machine, with the second repository and its key only."""
    return ws.backstay(name=name, text=(
        "repositories:\n"
        f"  offsite: {{ path: {backstay.home}/offsite, key_file: {backstay.home}/offsite.key }}\n"))


@pytest.fixture(scope="module")
def faults():
    base = place.new_base_directory()
    yield place.staged_binary("BACKSTAY_FAULTS", place.ROOT / "build/faults/backstay", base)
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def scene(ws):
    """Two snapshots and WAL past them in the first repository."""
    server, backstay = ws.pair()
    add_repository(backstay)
    server.bench_init()
    server.make_markers()
    backstay.backup()
    server.mark("between")
    server.script("UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid % 100 = 0")
    server.archive_all()
    backstay.backup()
    server.mark("past both")
    server.archive_all()
    return server, backstay


def test_recovery_from_the_second_repository_alone(ws, scene):
    server, backstay = scene
    report = copy(backstay)
    assert report["snapshots"] == 2 and report["packs"] > 0 and report["wal_files"] > 2, report
    assert report["present"] == 0 and report["damaged"] == 0, report
    assert set(report["requests"].values()) == {0}
    originals = worth_copying(backstay)
    assert len(originals) < len(objects(backstay.repository))
    assert objects(backstay.home / "offsite") == originals
    assert report["bytes"] == sum(map(len, originals.values()))

    again = copy(backstay)
    assert again["bytes"] == 0 and again["present"] == len(originals), again
    both = check(backstay, 0, "local", "offsite")
    assert both["ok"] and both["replicated"] == {"objects": 1.0, "bytes": 1.0}, both
    assert check(backstay, 0, "offsite")["sources"][0]["problems"] == []

    expected = server.markers()
    server.settle()
    server.stop()
    shutil.rmtree(backstay.repository)
    backstay.key_file.unlink()
    survivor = alone(ws, backstay, "survivor")
    assert len(survivor.complete()) == 2
    restored = ws.restored("back")
    survivor.run("restore", "orders", "--to", restored.data)
    restored.start_restored()
    assert restored.markers() == expected
    restored.amcheck()


@pytest.mark.quick
def test_a_copied_snapshot_is_byte_for_byte(ws):
    server, backstay = ws.pair()
    add_repository(backstay)
    server.bench_init()
    server.settle()
    snapshot = backstay.backup()["snapshot"]
    server.archive_all()
    copy(backstay)
    shutil.rmtree(backstay.repository)
    target = ws.path / "back"
    alone(ws, backstay, "survivor").run("restore", "orders", "--to", target, "--at", snapshot)
    compare.assert_equal(server.data, target)


def test_killed_again_and_again(scene, faults):
    """Each run dies at its second object of a kind; the next one goes on behind the first."""
    _, backstay = scene
    offsite = backstay.home / "offsite"
    originals = worth_copying(backstay)
    kills = {point: 0 for point in ("copy.put-manifest", "copy.put-pack", "copy.put-wal")}
    for point in list(kills) * len(originals):
        args = ("copy", "orders", "--from", "local", "--to", "offsite")
        before = objects(offsite)
        process = backstay.start(*args, binary=faults, env={"BACKSTAY_FAULT": f"{point}:kill:2"})
        process.communicate()
        copied = objects(offsite)
        assert copied.items() <= originals.items() and before.items() <= copied.items()
        if any("/snapshots/" in name for name in copied):
            # All that a snapshot needs is there; WAL between two may lack.
            report = backstay.attempt("repo", "check", "offsite", "--json").json()
            for problem in report["sources"][0]["problems"]:
                assert problem["code"] == "wal_hole", problem
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        kills[point] += 1
        if point == "copy.put-manifest":
            shutil.rmtree(offsite / "orders")
    assert all(kills.values()), kills
    report = copy(backstay)
    assert report["bytes"] + sum(map(len, copied.values())) == sum(map(len, originals.values()))
    assert objects(offsite) == originals


def test_single_snapshots_and_the_end_of_a_period(scene):
    _, backstay = scene
    first, second = backstay.complete()
    backstay.fails(3, "no snapshot", "copy", "orders", "--from", "local", "--to", "offsite",
                   "--snapshots", "20200101T000000Z-00000000")
    backstay.fails(2, "id of a snapshot", "copy", "orders", "--from", "local", "--to", "offsite",
                   "--snapshots", "yesterday")
    backstay.fails(2, "cannot be used together", "copy", "orders", "--from", "local", "--to", "offsite",
                   "--snapshots", first, "--last-of", "month")
    backstay.fails(2, "same repository", "copy", "orders", "--from", "local", "--to", "local")
    backstay.fails(2, "no repository", "copy", "orders", "--from", "local", "--to", "nowhere")
    report = copy(backstay, "--snapshots", first)
    assert report["snapshots"] == 1 and report["wal_files"] > 0, report
    assert report["wal_files"] < len(backstay.objects("orders/wal"))
    check(backstay, 0, "offsite")
    both = check(backstay, 1, "local", "offsite")["sources"][0]
    assert both["snapshots"]["missing"]["offsite"]["names"] == [f"orders/snapshots/{second}"]
    assert both["snapshots"]["missing"]["local"]["count"] == 0
    assert 0 < both["replicated"]["bytes"] < 1
    report = copy(backstay, "--last-of", "year")
    assert report["snapshots"] == 1, report
    held = backstay.json("repo", "list", "offsite")["repositories"][0]["sources"][0]
    assert held["snapshots"]["complete"] == 2 and held["snapshots"]["newest"] == second, held


def test_since_a_moment(scene):
    server, backstay = scene
    moment = server.value("SELECT now()::text")
    backstay.fails(3, "no snapshot", "copy", "orders", "--from", "local", "--to", "offsite",
                   "--since", moment)
    third = backstay.backup()["snapshot"]
    server.archive_all()
    report = copy(backstay, "--since", moment)
    assert report["snapshots"] == 1, report
    held = {path.name for path in (backstay.home / "offsite/orders/snapshots").iterdir()}
    assert held == {third}
    check(backstay, 0, "offsite")


def test_a_damaged_pack_costs_only_those_that_need_it(ws, scene):
    _, backstay = scene
    first, second = backstay.complete()
    # One that only the second snapshot needs, since the first was copied without it.
    copy(backstay, "--snapshots", first)
    missing = [path for path in backstay.objects("orders/packs")
               if not (backstay.home / "offsite" / backstay.object_name(path)).exists()]
    content = missing[0].read_bytes()
    missing[0].write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    shutil.rmtree(backstay.home / "offsite")
    backstay.run("init")
    result = backstay.attempt("copy", "orders", "--from", "local", "--to", "offsite", "--json")
    assert result.status == 1 and missing[0].name in result.error_lines()[-1], result
    report = result.json()
    assert report["damaged"] == 1 and report["left_out"] == 1 and report["snapshots"] == 1, report
    survivor = alone(ws, backstay, "survivor")
    assert survivor.complete() == [first]
    survivor.run("restore", "orders", "--to", ws.path / "back", "--at", "immediate")
    missing[0].write_bytes(content)
    assert copy(backstay)["snapshots"] == 1
    assert survivor.complete() == [first, second]


def test_repositories_of_their_own_do_not_mix(ws):
    """The second repository has the source under another key: nothing is copied into it."""
    server, backstay = ws.pair()
    add_repository(backstay)
    backstay.edit_config("to: [local]", "to: [offsite]")
    backstay.backup()
    backstay.edit_config("to: [offsite]", "to: [local]")
    backstay.backup()
    backstay.fails(1, "different keys", "copy", "orders", "--from", "local", "--to", "offsite")
    result = backstay.attempt("repo", "check", "local", "offsite")
    assert result.status == 1 and "different keys" in result.stdout, result
    server.stop("immediate")


def test_one_writer_at_a_time(scene, faults):
    """Who copies holds the source at the destination; when it dies, the next one goes on."""
    _, backstay = scene
    process = backstay.start("copy", "orders", "--from", "local", "--to", "offsite",
                             binary=faults, env={"BACKSTAY_FAULT": "copy.put-manifest:hang"})
    wait_for("the copy to hold the source",
             lambda: "held by" in backstay.run("repo", "list", "offsite").stdout)
    backstay.fails(4, "held by", "copy", "orders", "--from", "local", "--to", "offsite")
    interrupt(process)
    process.communicate()
    assert copy(backstay)["snapshots"] == 2
    assert "held by" not in backstay.run("repo", "list", "offsite").stdout


def test_what_repositories_hold(ws, scene):
    _, backstay = scene
    listed = backstay.json("repo", "list")["repositories"]
    assert [row["name"] for row in listed] == ["local", "offsite"]
    assert listed[1]["sources"] == []
    held = listed[0]["sources"][0]
    snapshots = backstay.complete()
    assert held["snapshots"]["complete"] == held["snapshots"]["count"] == 2
    assert (held["snapshots"]["oldest"], held["snapshots"]["newest"]) == tuple(snapshots)
    for kind, row in (("packs", held["packs"]), ("snapshots", held["snapshots"]),
                      ("wal", held["wal"])):
        paths = backstay.objects(f"orders/{kind}")
        assert row["bytes"] == sum(path.stat().st_size for path in paths), kind
        assert row.get("count", row.get("files")) == len(paths), kind
    segments = sorted(path.name for path in backstay.objects("orders/wal")
                      if len(path.name) == 24)
    timeline, = held["wal"]["timelines"]
    assert (timeline["first"], timeline["last"]) == (segments[0], segments[-1])
    assert snapshots[0] in backstay.run("repo", "list", "local").stdout
    backstay.fails(2, "no repository", "repo", "list", "nowhere")
    # One that cannot be asked hides no other.
    away = (backstay.home / "offsite").rename(ws.path / "away")
    result = backstay.attempt("repo", "list")
    assert result.status == 1 and snapshots[0] in result.stdout and "offsite" in result.stderr
    away.rename(backstay.home / "offsite")


def test_what_is_missing_is_found(scene):
    _, backstay = scene
    check(backstay, 0, "local")
    copy(backstay)
    pack = backstay.objects("orders/packs")[0]
    # The last but one: what is behind the last is not missing but still to come.
    segment = [path for path in backstay.objects("orders/wal") if len(path.name) == 24][-2]
    manifest = backstay.objects("orders/snapshots")[0]
    for path in (pack, segment):
        content = path.read_bytes()
        path.unlink()
        assert path.name in check(backstay, 1, "local")["sources"][0]["problems"][0]
        both = check(backstay, 1, "local", "offsite")["sources"][0]
        kind = "packs" if path is pack else "wal"
        assert both[kind]["missing"]["local"]["names"] == [backstay.object_name(path)]
        path.write_bytes(content + b"x")
        assert check(backstay, 1, "local", "offsite")["sources"][0][kind]["differing"]["count"] == 1
        path.write_bytes(content)
    content = manifest.read_bytes()
    manifest.write_bytes(content[:-1])
    assert manifest.name in check(backstay, 1, "local")["sources"][0]["problems"][0]
    assert check(backstay, 1, "offsite", "local")["sources"][0]["problems"]
    manifest.write_bytes(content)
    check(backstay, 0, "local")
    check(backstay, 0, "local", "offsite", "--source", "orders")
    backstay.fails(3, "holds anything of source", "repo", "check", "local", "offsite", "--source", "other")
