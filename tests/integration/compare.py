"""Byte-for-byte comparison of data directories."""
import hashlib
import os
import re
import shutil
import struct
from pathlib import Path

# What a restored directory may lack, have besides, or hold differently, and why.
EXCLUDED = [
    # the manual's exclusions: made anew by a starting server
    r"pg_wal/.*", r"pg_replslot/.*", r"pg_dynshmem/.*", r"pg_notify/.*", r"pg_serial/.*",
    r"pg_snapshots/.*", r"pg_stat_tmp/.*", r"pg_subtrans/.*", r"postmaster\.(pid|opts)",
    r"(.*/)?pg_internal\.init(\.\d+)?", r"(.*/)?pgsql_tmp.*", r"current_logfiles.*",
    # written by a server at its clean stop, after the snapshot
    r"global/pg_control", r"pg_stat/.*", r"pg_logical/replorigin_checkpoint",
    # what recovery needs, and the proof for pg_verifybackup
    r"backup_label(\.old)?", r"tablespace_map(\.old)?", r"recovery\.signal", r"backup_manifest",
    r"postgresql\.auto\.conf",
    # temporary relations
    r"(base/\d+|pg_tblspc/.*)/t\d+_\d+(_\w+)?(\.\d+)?",
]
_excluded = re.compile("|".join(f"(?:{pattern})" for pattern in EXCLUDED))


def digest_of(path):
    digest = hashlib.sha1()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def files_of(directory, excluded=_excluded):
    """{relative path: full path} of every file that counts, through tablespace links."""
    found = {}
    for parent, _, names in os.walk(directory, followlinks=True):
        for name in names:
            full = Path(parent, name)
            relative = str(full.relative_to(directory))
            if not excluded.fullmatch(relative):
                found[relative] = full
    return found


def unlogged_files(directory):
    """Main forks of unlogged relations with their maps: a snapshot holds their init forks only."""
    names = set(files_of(directory))
    bases = {name[:-len("_init")] for name in names if name.endswith("_init")}
    return {name for name in names
            if re.sub(r"(_fsm|_vm)?(\.\d+)?$", "", name) in bases}


def reference_copy(data, target):
    """A copy of a quiet cluster's files to compare with later; its tablespaces become directories."""
    def left_out(directory, names):
        return names if os.path.basename(directory) in ("pg_wal", "pg_stat_tmp") else []
    shutil.copytree(data, target, ignore=left_out)


def differences(original, restored, ignore=(), same=None):
    """One line for each file or directory that is missing, additional or different. `same` may find
    two files with other bytes to be the same all the same."""
    left, right = files_of(original), files_of(restored)
    lines = []
    for name in sorted(set(left) | set(right)):
        if name in ignore:
            continue
        if name not in right:
            lines.append(f"missing: {name}")
        elif name not in left:
            lines.append(f"additional: {name}")
        elif left[name].stat().st_size != right[name].stat().st_size:
            lines.append(f"size: {name}")
        elif (digest_of(left[name]) != digest_of(right[name])
              and not (same and same(left[name], right[name]))):
            lines.append(f"content: {name}")
        elif left[name].stat().st_mode != right[name].stat().st_mode:
            lines.append(f"mode: {name}")
    return lines


def assert_equal(original, restored, ignore=(), same=None):
    found = differences(original, restored, ignore, same)
    assert not found, f"{restored} differs from {original}:\n" + "\n".join(found[:40])
    directories = ["pg_wal", "pg_wal/archive_status", "pg_replslot", "pg_notify", "pg_serial",
                   "pg_snapshots", "pg_stat_tmp", "pg_subtrans", "pg_dynshmem", "pg_tblspc",
                   "pg_twophase", "pg_commit_ts"]
    if Path(original, "pg_wal", "summaries").is_dir():  # 17 and later
        directories.append("pg_wal/summaries")
    for directory in directories:
        assert Path(restored, directory).is_dir(), f"{restored} lacks the directory {directory}"


PAGE = 8192
SPGIST_MAGIC = 0xBA0BABEE


def equal_but_unlogged(hints):
    """A comparison of files that passes over what a server changes in a page without WAL, so that
    nothing can tell it from the page as it was: the cache in the first page of an SP-GiST index,
    and with `hints` (a cluster that logs no hint bits) hint bits, dead marks and fullness marks."""
    def same(left, right):
        left, right = left.read_bytes(), right.read_bytes()
        if len(left) != len(right) or len(left) % PAGE:
            return False
        return all(_same_page(left[at:at + PAGE], right[at:at + PAGE], hints)
                   for at in range(0, len(left), PAGE))
    return same


def _same_page(left, right, hints):
    if left == right:
        return True
    if left[:8] != right[:8]:  # the LSN
        return False
    if left[24:28] == right[24:28] == struct.pack("<I", SPGIST_MAGIC):
        return True
    return hints and _without_hints(left) == _without_hints(right)


def _without_hints(page):
    page = bytearray(page)
    flags, lower, upper, special = struct.unpack_from("<HHHH", page, 10)
    struct.pack_into("<HH", page, 8, 0, flags & ~3)
    struct.pack_into("<I", page, 20, 0)
    if not 24 <= lower <= upper <= special <= PAGE:
        return page
    is_heap = special > PAGE - 16
    for at in range(24, lower, 4):
        item, = struct.unpack_from("<I", page, at)
        offset, kind = item & 0x7FFF, item >> 15 & 3
        if not is_heap:
            struct.pack_into("<I", page, at, item | 3 << 15)
        elif kind == 1 and offset + 22 <= PAGE:
            infomask, = struct.unpack_from("<H", page, offset + 20)
            struct.pack_into("<H", page, offset + 20, infomask & ~0x0F00)
    if not is_heap:
        struct.pack_into("<H", page, special + 12, 0)
    return page


def main_fork_files(server, table, dbname="postgres"):
    """Relative paths of the main fork's existing segments of a table."""
    first = server.value("SELECT pg_relation_filepath(%s)", table, dbname=dbname)
    paths, number = [], 0
    while (server.data / (first if number == 0 else f"{first}.{number}")).exists():
        paths.append(first if number == 0 else f"{first}.{number}")
        number += 1
    return paths
