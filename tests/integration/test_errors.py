"""Bad configuration, keys, repositories and arguments: one clear line and the documented exit
status (test_refusals.py has those that need a server in some state)."""
import json
import re
import shutil

import pytest

import place

pytestmark = [pytest.mark.once, pytest.mark.quick]


@pytest.fixture
def plain(shared):
    """A configuration without a server; each test breaks it in its own way."""
    backstay = shared.backstay(name="plain")
    yield backstay
    for path in (backstay.repository, backstay.key_file):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()


def line_of(backstay, text):
    lines = backstay.config.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


# name: (text in the good configuration, what stands there instead, text of the line that is
# blamed, path of the key, what the message says)
CONFIGURATIONS = {
    "unknown key": ("workers: 2", "keep: { dayly: 7 }", "dayly", "sources.orders.keep.dayly",
                    'unknown key.*did you mean "daily"'),
    "unknown key at the top": ("sources:", "surces:", "surces", "surces", "unknown key"),
    "unknown key of a repository": ("key_file:", "keyfile:", "keyfile",
                                    "repositories.local.keyfile", "key_file"),
    "wrong type": ("workers: 2", "workers: many", "many", "sources.orders.workers", ""),
    "list for a text": ("workers: 2", "workers: [1, 2]", "[1, 2]", "sources.orders.workers", ""),
    "text for a list": ("to: [local]", "to: { local: 1 }", "to: {", "sources.orders.to", ""),
    "text for a map": ("workers: 2", "keep: weekly", "weekly", "sources.orders.keep", ""),
    "number out of range": ("workers: 2", "workers: 0", "workers: 0", "sources.orders.workers", ""),
    "negative number": ("workers: 2", "keep: { last: -1 }", "last: -1", "sources.orders.keep.last", ""),
    "dangling repository": ("to: [local]", "to: [offsite]", "offsite", "sources.orders.to",
                            "offsite"),
    "nothing to back up to": ("to: [local]", "to: []", "to: []", "sources.orders.to", ""),
    "duplicate key": ("workers: 2", "workers: 2\n    workers: 3", "workers: 3",
                      "", "workers.*twice"),
    "bad duration": ("workers: 2", "objectives: { rpo: soon }", "soon",
                     "sources.orders.objectives.rpo", "soon"),
    "bad size": ("workers: 2", "max_rate: fast", "fast", "sources.orders.max_rate", "fast"),
    "bad schedule": ("workers: 2", 'schedule: { backup: "61 2 * * *" }', "61",
                     "sources.orders.schedule.backup", "61"),
    "bad compression": ("workers: 2", "compress: { method: gzip }", "gzip",
                        "sources.orders.compress.method", "gzip"),
    "bad level": ("workers: 2", "compress: { method: zstd, level: 40 }", "40",
                  "sources.orders.compress.level", "40"),
    "bad source name": ("  orders:", "  Orders!:", "Orders!", "sources", "Orders!"),
    "reserved source name": ("  orders:", "  keys:", "keys:", "sources", "keys"),
    "relative path": ("path: /", "path: ./", "path: ./", "repositories.local.path", "absolute"),
    "s3": ("local: {", "cloud: { s3: { bucket: b }, key_file: /k }\n  local: {", "s3",
           "repositories.cloud.s3.bucket", "is not a bucket name"),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_wrong_configuration_is_explained(plain, name):
    """Unknown key in the configuration (file:line and path), wrong type, dangling names."""
    old, new, blamed, path, message = CONFIGURATIONS[name]
    plain.edit_config(old, new)
    where = re.escape(f"{plain.config}:{line_of(plain, blamed)}: {path}")
    plain.fails(2, f"{where}.*{message}", "status")


def test_broken_yaml_names_the_line(plain):
    plain.write_config("repositories:\n  local: { path: [\nsources: }\n")
    plain.fails(2, re.escape(str(plain.config)) + r":[234]:", "status")


def test_missing_configuration(plain):
    plain.config.unlink()
    plain.fails(2, re.escape(str(plain.config)), "status")
    plain.write_config("")
    plain.fails(2, re.escape(str(plain.config)), "status")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_files_that_others_can_read_are_refused(plain, mode):
    """A key or config file readable by others than its owner is refused."""
    plain.run("init")
    plain.key_file.chmod(mode)
    plain.fails(2, f'"{plain.key_file}" can be read by others.*chmod 600', "list")
    plain.key_file.chmod(0o600)
    plain.config.chmod(mode)
    plain.fails(2, f'"{plain.config}" can be read by others.*chmod 600', "list")


def test_missing_wrong_and_garbled_keys(plain, shared):
    """Missing key file, wrong key."""
    plain.run("init")
    good = plain.key_file.read_bytes()
    plain.key_file.unlink()
    plain.fails(2, str(plain.key_file), "backup", "orders")
    plain.fails(2, str(plain.key_file), "init")
    other = shared.backstay(name="other-key")
    other.run("init")
    for content in (other.key_file.read_bytes(), b"", b"garbage\n", good[:-8], good + good):
        plain.key_file.write_bytes(content)
        plain.key_file.chmod(0o600)
        place.give_to_owner(plain.key_file)
        plain.fails(2, str(plain.key_file), "list")


def test_init_uses_a_ready_key_and_says_what_exists(plain):
    """init: an existing repository with a fitting key says so; a ready key file is used."""
    first = plain.json("init")["repositories"][0]
    assert first["created"] is True and first["key_file"] == str(plain.key_file)
    assert plain.key_file.stat().st_mode & 0o777 == 0o600
    key = plain.key_file.read_bytes()
    again = plain.json("init")["repositories"][0]
    assert again["created"] is False and again["id"] == first["id"]
    assert "already initialized" in plain.run("init").stdout
    shutil.rmtree(plain.repository)
    assert plain.json("init")["repositories"][0]["created"] is True
    assert plain.key_file.read_bytes() == key


def test_a_repository_that_is_not_there(plain):
    """Each command says where it looked."""
    plain.run("init")
    shutil.rmtree(plain.repository)
    for args in (("list",), ("restore", "orders", "--to", plain.home / "x")):
        result = plain.attempt("-q", *args)
        assert result.status in (1, 3), result
        plain.assert_one_line(result, str(plain.repository))


def test_a_newer_format_is_refused(plain):
    """A repository of a newer format version."""
    plain.run("init")
    path = plain.repository / "backstay.json"
    content = json.loads(path.read_text())
    [name] = [key for key, value in content.items()
              if isinstance(value, int) and not isinstance(value, bool)][:1]
    content[name] += 1
    path.chmod(0o600)
    path.write_text(json.dumps(content))
    plain.fails(1, "newer|version", "list")


def test_a_directory_that_is_no_repository_is_left_alone(plain):
    directory = place.make_directory(plain.repository)
    (directory / "letters.txt").write_text("mine")
    plain.attempt("init")
    assert (directory / "letters.txt").read_text() == "mine"


def test_an_unwritable_place_for_the_repository(plain):
    """Backstay runs as the owner of the directory, to whom the mode applies."""
    directory = place.make_directory(plain.home / "closed", mode=0o500)
    plain.edit_config(str(plain.repository), str(directory / "repo"))
    plain.fails(1, "closed", "init")


@pytest.mark.parametrize("label", ["x" * 5000, "two\nlines"], ids=["long", "lines"])
def test_a_label_has_bounds(plain, label):
    """A manifest that bears more could not be read again."""
    plain.fails(2, "--label", "backup", "orders", "--label", label)


USAGE = [
    ([], ""), (["bakup", "orders"], "bakup"), (["backup"], "SOURCE|source"),
    (["backup", "orders", "again"], "again"), (["backup", "nobody"], "nobody"),
    (["list", "nobody"], "nobody"), (["status", "nobody"], "nobody"),
    (["backup", "orders", "--fulll"], "fulll"), (["backup", "orders", "--workers", "none"], "none"),
    (["backup", "orders", "--workers", "0"], "workers"), (["backup", "orders", "--workers"], ""),
    (["backup", "orders", "--max-rate", "fast"], "fast"),
    (["backup", "orders", "--compress", "gzip"], "gzip"),
    (["backup", "orders", "--compress", "zstd:99"], "99"),
    (["backup", "orders", "--checkpoint", "never"], "never"),
    (["restore", "orders"], "--to"), (["restore", "orders", "--to", ""], "--to"),
    (["restore", "--to", "/tmp/x"], "SOURCE|source"),
    (["restore", "orders", "--to", "/tmp/x", "--delta", "--replace"], "--delta|--replace"),
    (["restore", "orders", "--to", "/tmp/x", "--at", "yesterday-ish"], "yesterday-ish"),
    (["restore", "orders", "--to", "/tmp/x", "--at", "lsn:12345"], "12345"),
    (["restore", "orders", "--to", "/tmp/x", "--at", "lsn:0/XYZ"], "0/XYZ"),
    (["restore", "orders", "--to", "/tmp/x", "--at", "xid:-4"], "-4"),
    (["restore", "orders", "--to", "/tmp/x", "--at", "xid:abc"], "abc"),
    (["restore", "orders", "--to", "/tmp/x", "--at", "name:"], "name"),
    (["restore", "orders", "--to", "/tmp/x", "--at", "2026-13-45 10:00:00"], "2026-13-45"),
    (["restore", "orders", "--to", "/tmp/x", "--at", ""], "--at|target|empty"),
    (["restore", "orders", "--to", "/tmp/x", "--timeline", "first"], "first"),
    (["restore", "orders", "--to", "/tmp/x", "--tablespace", "fast"], "fast"),
    (["restore", "orders", "--to", "/tmp/x", "--action", "explode"], "explode"),
    (["restore", "orders", "--to", "/tmp/x", "--repository", "moon"], "moon"),
    (["wal"], ""), (["wal", "pull", "orders"], "pull"), (["wal", "push", "orders"], ""),
    (["wal", "push", "nobody", "000000010000000000000001"], "nobody"),
    (["wal", "fetch", "orders", "000000010000000000000001"], ""),
]


@pytest.mark.parametrize("args, message", USAGE, ids=lambda value: " ".join(value)
                         if isinstance(value, list) else "")
def test_wrong_usage(plain, args, message):
    """Wrong usage: exit status 2, one line; nothing is touched."""
    plain.fails(2, message, *args)
    assert not plain.repository.exists()
