"""New clusters without an initdb for each: it runs once for every set of options, and what it made is
copied. Each copy gets a system identifier of its own, as an initdb would have given it."""
import os
import secrets
import struct
import subprocess
import time

import place

_made = {}  # (programs, options) -> the data directory that initdb made
_home = None
LONG_HEADER = 0x0002  # of a WAL page: the identifier follows its address
WAL_IDENTIFIER_AT = 24


def _table():
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        yield value


_TABLE = list(_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def new_identifier():
    """Made as initdb makes it: of the time and, in place of a process id, of chance."""
    now = time.time_ns() // 1000
    return (now // 1000000) << 32 | (now % 1000000) << 12 | secrets.randbelow(4096)


def _initdb(programs, options, home, target):
    place.run_as_owner([programs / "initdb", "-N", "-A", "trust", "-U", "postgres", "-E", "UTF8",
                        "--locale=C", *options, "-D", target], home)


def _template_of(programs, options):
    global _home
    key = (str(programs), *options)
    if key not in _made:
        _home = _home or place.new_base_directory()
        target = _home / str(len(_made))
        _initdb(programs, options, _home, target)
        _made[key] = target
    return _made[key]


def _checksum_position(control):
    """The checksum is the last field of pg_control's content, whose size is the version's."""
    for position in range(128, 512, 4):
        if struct.unpack_from("<I", control, position)[0] == crc32c(control[:position]):
            return position
    raise AssertionError("pg_control has no valid checksum")


def _identify(data, identifier):
    """Writes the identifier where a new cluster has it: into pg_control, and into the long headers
    with which its WAL segments begin."""
    path = data / "global" / "pg_control"
    control = bytearray(path.read_bytes())
    position = _checksum_position(control)
    old = control[:8]
    struct.pack_into("<Q", control, 0, identifier)
    struct.pack_into("<I", control, position, crc32c(control[:position]))
    path.write_bytes(control)
    segments = [each for each in (data / "pg_wal").iterdir() if each.is_file()]
    assert [_identify_segment(each, bytes(old), identifier) for each in sorted(segments)][0]


def _identify_segment(path, old, identifier):
    """Returns true if the segment had the old identifier: one for later use may be empty."""
    with open(path, "r+b") as file:
        head = file.read(WAL_IDENTIFIER_AT + 8)
        if not struct.unpack_from("<H", head, 2)[0] & LONG_HEADER or head[WAL_IDENTIFIER_AT:] != old:
            return False
        file.seek(WAL_IDENTIFIER_AT)
        file.write(struct.pack("<Q", identifier))
        return True


def make_cluster(programs, options, data):
    """The data directory that initdb with these options would make."""
    subprocess.run(["cp", "-a", "--reflink=auto", _template_of(programs, options), data], check=True)
    _identify(data, new_identifier())


def remove_templates():
    global _home
    if _home:
        subprocess.run(["rm", "-rf", _home], check=False)
    _made.clear()
    _home = None
