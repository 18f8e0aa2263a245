"""Golden repositories: tests/data/NAME holds a repository, its key, and what each snapshot is."""
import hashlib
import json
import shutil

import place

DATA = place.ROOT / "tests" / "data"
# What a restore writes for the place that it restores to.
OWN = {"postgresql.auto.conf", "recovery.signal", "backup_manifest", "pg_wal"}


def names(kind="*"):
    return sorted(path.parent.name for path in DATA.glob(f"{kind}/files.json"))


def expected(name):
    """{snapshot: {path: SHA-256}}"""
    return json.loads((DATA / name / "files.json").read_text(encoding="utf-8"))


def digests(directory):
    """{path: SHA-256} of all that must come back the same."""
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(directory.rglob("*"))
            if path.is_file() and path.relative_to(directory).parts[0] not in OWN}


def copy(name, ws, backstay):
    """Copies a golden repository to where `backstay` has its own, with the modes it wants."""
    shutil.copytree(DATA / name / "repo", backstay.repository)
    shutil.copy(DATA / name / "key", backstay.key_file)
    backstay.key_file.chmod(0o600)
    place.give_to_owner(backstay.key_file)
    for path in [backstay.repository, *backstay.repository.rglob("*")]:
        path.chmod(0o700 if path.is_dir() else 0o600)
        place.give_to_owner(path)
    return backstay
