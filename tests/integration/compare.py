"""Byte-for-byte comparison of data directories."""
import hashlib
import os
import re
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
    for folder, _, names in os.walk(directory, followlinks=True):
        for name in names:
            full = Path(folder, name)
            relative = str(full.relative_to(directory))
            if not excluded.fullmatch(relative):
                found[relative] = full
    return found


def differences(original, restored, ignore=()):
    """One line for each file or folder that is missing, additional or different."""
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
        elif digest_of(left[name]) != digest_of(right[name]):
            lines.append(f"content: {name}")
        elif left[name].stat().st_mode != right[name].stat().st_mode:
            lines.append(f"mode: {name}")
    return lines


def assert_equal(original, restored, ignore=()):
    found = differences(original, restored, ignore)
    assert not found, f"{restored} differs from {original}:\n" + "\n".join(found[:40])
    folders = ["pg_wal", "pg_wal/archive_status", "pg_replslot", "pg_notify", "pg_serial",
               "pg_snapshots", "pg_stat_tmp", "pg_subtrans", "pg_dynshmem", "pg_tblspc",
               "pg_twophase", "pg_commit_ts"]
    if Path(original, "pg_wal", "summaries").is_dir():  # 17 and later
        folders.append("pg_wal/summaries")
    for folder in folders:
        assert Path(restored, folder).is_dir(), f"{restored} lacks the folder {folder}"


def main_fork_files(server, table, dbname="postgres"):
    """Relative paths of the main fork's existing segments of a table."""
    first = server.value("SELECT pg_relation_filepath(%s)", table, dbname=dbname)
    paths, number = [], 0
    while (server.data / (first if number == 0 else f"{first}.{number}")).exists():
        paths.append(first if number == 0 else f"{first}.{number}")
        number += 1
    return paths
