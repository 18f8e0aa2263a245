"""inspect takes an object apart, names damaged bytes, and shows no key. On a golden repository: no
server is needed."""
import json
import os
import re
import shutil

import pytest

import formatreader
import golden
import place

pytestmark = pytest.mark.once
KINDS = ["identity", "slot", "source key", "pack", "manifest", "segment", "backup history", "lease"]
PATTERNS = {"identity": "backstay.json", "slot": "keys/*", "source key": "orders/key/*",
            "pack": "orders/packs/*/*", "manifest": "orders/snapshots/*",
            "segment": "orders/wal/*/*/*/*", "backup history": "orders/wal/*/*/*.backup",
            "lease": "orders/lease/*"}


@pytest.fixture(scope="module")
def backstay(shared):
    return golden.copy("postgres-zstd", shared, shared.backstay())


def name_of(backstay, kind):
    path = max(backstay.repository.glob(PATTERNS[kind]), key=lambda found: found.name)
    return str(path.relative_to(backstay.repository))


def secrets(backstay):
    line = [line for line in backstay.key_file.read_text().splitlines()
            if not line.startswith("#")][-1]
    return line.split()[2]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_with_and_without_a_key(backstay, kind):
    name = name_of(backstay, kind)
    path = backstay.repository / name
    closed = backstay.run("inspect", path).json()
    by_key_file = backstay.run("inspect", path, "--key-file", backstay.key_file).json()
    by_name = backstay.run("inspect", name, "--repository", "local").json()
    assert by_key_file == by_name and closed["object"] == name
    assert closed["bytes"] == path.stat().st_size
    if kind == "identity":
        return
    assert not closed["opened"] and "content" not in closed
    assert closed["sha256_is_right"] and closed["problems"] == []
    assert by_name["opened"] and by_name["content"] and by_name["problems"] == []
    assert by_name["frames"] == closed["frames"]
    assert by_name["header"] == closed["header"]


def test_a_copied_object_opens_under_its_name_alone(shared, backstay):
    name = name_of(backstay, "manifest")
    copy = shared.directory("copied") / "object"
    shutil.copy(backstay.repository / name, copy)
    place.give_to_owner(copy)
    assert backstay.run("inspect", copy).json()["sha256_is_right"]
    opened = backstay.run("inspect", copy, "--repository", "local", "--as", name).json()
    assert opened["content"]["snapshot"] == name.split("/")[-1]
    other = min(backstay.repository.glob("orders/snapshots/*"), key=lambda path: path.name)
    result = backstay.attempt("inspect", copy, "--repository", "local", "--as",
                              f"orders/snapshots/{other.name}")
    assert result.status == 1 and len(result.json()["problems"]) > 1
    backstay.fails(2, "--as", "inspect", copy, "--key-file", backstay.key_file)


def test_all_lists_what_is_counted(backstay):
    name = name_of(backstay, "manifest")
    short = backstay.run("inspect", name, "--repository", "local")
    long = backstay.run("inspect", name, "--repository", "local", "--all").json()
    content = long["content"]
    assert len(short.stdout) < 8000, "the output without --all is bounded"
    assert len(content["file_table"]) == content["files"]
    assert len(content["pack_table"]) == content["packs"]
    assert len(long["frame_table"]) == long["frames"]
    files = {file["path"]: file for file in content["file_table"]}
    assert files["PG_VERSION"]["bytes"] == 3 and files["PG_VERSION"]["kind"] == "file"
    assert sum(extent["bytes"] for extent in files["global/pg_control"]["extents"]) == 8192
    pack = backstay.run("inspect", name_of(backstay, "pack"), "--repository", "local",
                        "--all").json()
    chunks = pack["content"]["chunk_table"]
    assert len(chunks) == pack["content"]["chunks"] == pack["frames"] - 1
    assert [chunk["offset"] for chunk in chunks] == [
        frame["offset"] for frame in pack["frame_table"][:-1]]


@pytest.mark.parametrize("kind", KINDS[1:])
def test_damage_is_found_to_the_frame(shared, backstay, kind):
    """A flipped byte of each part of an object, one at a time."""
    name = name_of(backstay, kind)
    path = backstay.repository / name
    intact = path.read_bytes()
    frames = backstay.run("inspect", name, "--repository", "local",
                          "--all").json()["frame_table"]
    middle = frames[len(frames) // 2]
    places = {"commitment": (50, 0, 80),
              "frame": (middle["offset"] + 4, middle["offset"], middle["bytes"]),
              "trailer": (len(intact) - 3, len(intact) - 64, 64)}
    try:
        for part, (at, offset, size) in places.items():
            damaged = bytearray(intact)
            damaged[at] ^= 4
            path.write_bytes(damaged)
            result = backstay.attempt("inspect", path, "--key-file", backstay.key_file)
            if kind in ("slot", "source key"):
                # Without it nothing opens; the reader who has no key sees what is to be seen.
                result = backstay.attempt("inspect", path)
                if part == "trailer":  # its tag is for those who have the key
                    continue
                offset, size = 0, len(intact)
            report = json.loads(result.stdout)
            assert result.status == 1, (part, result)
            assert (report["problems"][0]["offset"], report["problems"][0]["bytes"]) == (
                offset, size), (part, report)
            assert str(offset) in result.stderr
        path.write_bytes(intact[:-10])
        result = backstay.attempt("inspect", path)
        assert result.status == 1 and not result.json()["sha256_is_right"]
    finally:
        path.write_bytes(intact)
    assert backstay.run("inspect", path).json()["problems"] == []


def test_a_pack_under_another_name_is_noticed(backstay):
    name = name_of(backstay, "pack")
    other = backstay.repository / (name[:-1] + ("0" if name[-1] != "0" else "1"))
    shutil.copy(backstay.repository / name, other)
    place.give_to_owner(other)
    try:
        result = backstay.attempt("inspect", other)
        assert result.status == 1 and "not that of its name" in result.stderr
    finally:
        os.unlink(other)


def test_what_is_no_object(shared, backstay):
    text = shared.directory("odd") / "text"
    text.write_text("hello, this is no object\n" * 10)
    place.give_to_owner(text)
    result = backstay.attempt("inspect", text)
    assert result.status == 1 and "not a sealed object" in result.stderr
    text.write_bytes(b"")
    assert backstay.attempt("inspect", text).status == 1
    backstay.fails(1, "no.such", "inspect", shared.path / "no.such")
    backstay.fails(2, "--key-file is for", "inspect", "x", "--repository", "local", "--key-file",
                   backstay.key_file)
    backstay.fails(2, "--repository names", "inspect", text, "--key-file", backstay.key_file)


def test_no_key_is_shown(backstay):
    """Neither that of the key file nor those that the objects hold."""
    secret = secrets(backstay)
    assert re.fullmatch("[0-9a-f]{64}", secret)
    reader = formatreader.Repository(backstay.repository, backstay.key_file)
    hidden = [secret, reader.key.hex(), *(key.hex() for key in
                                          reader.source_keys("orders").values())]
    for kind in KINDS:
        for more in ([], ["--all"]):
            result = backstay.run("-vv", "inspect", name_of(backstay, kind), "--repository",
                                  "local", *more)
            for key in hidden:
                assert key not in result.stdout + result.stderr, kind
    result = backstay.attempt("inspect", backstay.key_file)
    assert result.status == 1 and secret not in result.stdout + result.stderr
