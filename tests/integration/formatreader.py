"""Reads a repository by docs/format.md alone: shares no code with the program, only libraries for
AES-256-GCM, zstd and lz4. What it reads proves the document."""
import ctypes
import hashlib
import hmac
import struct
from pathlib import Path

crypto = ctypes.CDLL("libcrypto.so.3")
zstd = ctypes.CDLL("libzstd.so.1")
lz4 = ctypes.CDLL("liblz4.so.1")
for function in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
    getattr(crypto, function).restype = ctypes.c_void_p
zstd.ZSTD_decompress.restype = zstd.ZSTD_isError.restype = ctypes.c_size_t

CRITICAL = 0x8000
KINDS = {"regular": 1, "directory": 2, "symlink": 3, "hard link": 4, "fifo": 5, "character": 6,
         "block": 7}


class Refused(Exception):
    """What the document tells a reader to refuse."""


def open_gcm(key, nonce, associated, body, tag):
    context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
    out = ctypes.create_string_buffer(len(body) + 16)
    size = ctypes.c_int()
    try:
        cipher = ctypes.c_void_p(crypto.EVP_aes_256_gcm())
        assert crypto.EVP_DecryptInit_ex(context, cipher, None, key, nonce) == 1
        assert crypto.EVP_DecryptUpdate(context, None, ctypes.byref(size), associated,
                                        len(associated)) == 1
        assert crypto.EVP_DecryptUpdate(context, out, ctypes.byref(size), body, len(body)) == 1
        assert crypto.EVP_CIPHER_CTX_ctrl(context, 0x11, 16, ctypes.c_char_p(tag)) == 1
        if crypto.EVP_DecryptFinal_ex(context, ctypes.byref(out, len(body)),
                                      ctypes.byref(size)) != 1:
            raise Refused("a tag is wrong")
    finally:
        crypto.EVP_CIPHER_CTX_free(context)
    return out.raw[:len(body)]


def hkdf(secret, salt, info, size):
    key = hmac.digest(salt or bytes(32), secret, "sha256")
    out, block = b"", b""
    for number in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        out += block
    return out[:size]


def decompress(body):
    codec, raw_size = struct.unpack_from("<BI", body)
    data = body[5:]
    if codec == 0:
        raw = data
    elif codec == 1:
        out = ctypes.create_string_buffer(raw_size or 1)
        size = zstd.ZSTD_decompress(out, ctypes.c_size_t(raw_size), data,
                                    ctypes.c_size_t(len(data)))
        assert not zstd.ZSTD_isError(ctypes.c_size_t(size))
        raw = out.raw[:size]
    elif codec == 2:
        out = ctypes.create_string_buffer(raw_size or 1)
        raw = out.raw[:0] + ctypes.string_at(
            out, lz4.LZ4_decompress_safe(data, out, len(data), raw_size))
    else:
        raise Refused(f"codec {codec}")
    assert len(raw) == raw_size
    return raw


def open_object(data, kind, name, keys):
    """The raw content of each frame, every byte proven. `keys`: {generation: key}."""
    magic, version, found, generation, salt, commitment = struct.unpack_from("<8sHHI32s32s", data)
    if magic != b"BKSEALED" or version != 1 or found != kind:
        raise Refused(f"{name}: {magic} {version} {found}")
    key = hkdf(keys[generation], salt, b"backstay object %d" % kind, 32)
    if hkdf(keys[generation], salt, b"backstay commitment %d" % kind, 32) != commitment:
        raise Refused(f"{name}: another key")
    header, trailer = data[:80], data[-64:]
    size, last_frame, digest, tag = struct.unpack("<QQ32s16s", trailer)
    assert size == len(data) - 64
    assert hashlib.sha256(data[:-48]).digest() == digest
    open_gcm(key, struct.pack("<QI", 2**64 - 1, 0),
             header + b"\2" + name.encode() + trailer[:48], b"", tag)
    frames, at, is_last = [], 80, False
    while not is_last:
        start = at
        head, = struct.unpack_from("<I", data, at)
        body_size, is_last = head & 0x7fffffff, head >> 31 == 1
        body, tag = data[at + 4:at + 4 + body_size], data[at + 4 + body_size:at + 20 + body_size]
        plain = open_gcm(key, struct.pack("<QI", len(frames), 0),
                         header + bytes([is_last]) + name.encode(), body, tag)
        frames.append(decompress(plain))
        at += 20 + body_size
    assert at == size and start == last_frame
    return frames


class Wire:
    """Numbers, bytes and texts, one behind the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def raw(self, size):
        assert self.at + size <= len(self.data), "cut off"
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, form):
        return struct.unpack("<" + form, self.raw(struct.calcsize("<" + form)))[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.raw(1)[0]
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    def zigzag(self):
        value = self.varint()
        return -(value + 1) // 2 if value & 1 else value // 2

    def bytes(self):
        return self.raw(self.varint())

    def text(self):
        value = self.bytes()
        assert 0 not in value
        return value.decode("utf-8", "surrogateescape")

    def extensions(self):
        area, found, last = Wire(self.bytes()), {}, -1
        while not area.is_at_end():
            tag = area.number("H")
            assert tag > last
            found[tag] = area.bytes()
            last = tag
        return found

    def no_critical(self):
        """Extensions of which no tag is known."""
        for tag in self.extensions():
            if tag & CRITICAL:
                raise Refused(f"extension {tag}")

    def is_at_end(self):
        return self.at == len(self.data)

    def end(self):
        assert self.is_at_end(), "something is left over"


def read_head(frame):
    wire = Wire(frame)
    assert wire.number("B") == 1 and wire.number("B") == 1
    head = {name: wire.text() for name in ("id", "source", "kind", "parent")}
    head["mode"] = wire.number("B")
    head["why"] = wire.text()
    for name in ("read", "changed", "repacked", "reused"):
        head[name] = wire.varint()
    for name in ("label", "host", "program"):
        head[name] = wire.text()
    head["state"] = wire.number("B")
    for name in ("started", "finished"):
        head[name] = wire.zigzag()
    for name in ("epoch", "files", "bytes", "stored_bytes", "new_bytes", "packs", "rest"):
        head[name] = wire.varint()
    head["meta"] = wire.bytes()
    wire.no_critical()
    wire.end()
    return head


def read_pack_row(wire):
    row = {"name": wire.raw(32).hex(), "salt": wire.raw(32)}
    for name in ("size", "raw_size", "tail", "chunks"):
        row[name] = wire.varint()
    row["created"] = wire.zigzag()
    wire.no_critical()
    return row


def read_owner_row(wire):
    row = {"uid": wire.varint(), "gid": wire.varint(), "user": wire.text(), "group": wire.text()}
    wire.no_critical()
    return row


def read_identity(value):
    wire = Wire(value)
    identity = {"ctime": (wire.zigzag(), wire.varint()), "inode": wire.varint(),
                "device": (wire.varint(), wire.varint())}
    wire.end()
    return identity


def read_attributes(value):
    wire, attributes = Wire(value), {}
    while not wire.is_at_end():
        name = wire.bytes()
        attributes[name] = wire.bytes()
    assert list(attributes) == sorted(attributes)
    return attributes


def read_file_row(wire):
    row = {"path": wire.text(), "link": wire.text(), "kind": wire.number("B"),
           "flags": wire.number("B"), "mode": wire.varint(), "owner": wire.varint(),
           "mtime": (wire.zigzag(), wire.varint()), "size": wire.varint()}
    if row["kind"] not in KINDS.values() or row["flags"] > 3:
        raise Refused(f"kind {row['kind']}, flags {row['flags']}")
    row["extents"] = list(read_extents(wire.bytes(), row["size"]))
    for name in ("digests", "notes"):
        row[name] = wire.bytes()
    found = wire.extensions()
    for tag, value in found.items():
        if tag == 1:
            row["identity"] = read_identity(value)
        elif tag == 2:
            numbers = Wire(value)
            row["node"] = (numbers.varint(), numbers.varint())
        elif tag == 3:
            row["attributes"] = read_attributes(value)
        elif tag & CRITICAL:
            raise Refused(f"extension {tag}")
    return row


def read_extents(data, size):
    """(length, None) for a hole, (length, (pack, offset)) for a run."""
    wire, at, recent = Wire(data), 0, []  # recent: [pack, end in the pack, end in the file]
    while not wire.is_at_end():
        word = wire.varint()
        unit = 1 if word & 2 else 8192
        if word & 1:
            length = (word >> 2) * unit
            yield length, None
            at += length
            continue
        which, where, length = word >> 2 & 3, word >> 4 & 3, (word >> 6) * unit
        if which == 3:
            pack = wire.zigzag() + (recent[0][0] if recent else 0)
            offset = wire.varint()
            recent = [entry for entry in recent if entry[0] != pack]
        else:
            index = which if which < 2 else wire.number("B")
            pack, pack_end, file_end = recent.pop(index)
            in_step = pack_end + (at - file_end)
            offset = {0: pack_end, 1: in_step}[where] if where < 2 else in_step + wire.zigzag()
        yield length, (pack, offset)
        at += length
        recent = [[pack, offset + length, at]] + recent[:31]
    assert at == size


class Repository:
    def __init__(self, path, key_file):
        self.path = Path(path)
        lines = [line for line in Path(key_file).read_text().splitlines()
                 if line and not line.startswith("#")]
        form, slot, secret, check = lines[0].split(" ")
        assert form == "backstay-key-1" and len(lines) == 1
        secret = bytes.fromhex(secret)
        assert hashlib.sha256(slot.encode() + secret).hexdigest()[:8] == check
        wire = Wire(b"".join(self.open(f"keys/{slot}", 1, {1: secret})))
        assert wire.number("B") == 1
        identity = wire.text()
        self.key = wire.raw(32)
        wire.end()
        assert (self.path / "backstay.json").read_text() == (
            '{"backstay_repository":1,"id":"%s"}\n' % identity)

    def open(self, name, kind, keys, seal_name=None):
        return open_object((self.path / name).read_bytes(), kind, seal_name or name, keys)

    def source_keys(self, source):
        keys = {}
        for path in sorted((self.path / source / "key").iterdir()):
            wire = Wire(b"".join(self.open(f"{source}/key/{path.name}", 2, {1: self.key})))
            assert wire.number("B") == 1 and wire.text() == source
            generation = wire.number("I")
            assert f"{generation:08x}" == path.name
            keys[generation] = wire.raw(32)
            wire.end()
        return keys

    def snapshots(self, source):
        return sorted(path.name for path in (self.path / source / "snapshots").iterdir())

    def snapshot(self, source, snapshot):
        return Snapshot(self, source, snapshot)

    def wal_file(self, name, kind):
        """Name and bytes of the file in a WAL object."""
        frames = self.open(name, kind, self.source_keys(name.split("/")[0]))
        wire = Wire(frames[0])
        assert wire.number("B") == 2
        file_name, size = wire.text(), wire.varint()
        wire.raw(16)
        wire.bytes()
        summary_size = wire.varint()
        wire.bytes()
        wire.no_critical()
        wire.end()
        summary_frames = -(-summary_size // (4 << 20))
        content = b"".join(frames[1 + summary_frames:])
        assert len(content) == size
        return file_name, content


class Snapshot:
    def __init__(self, repository, source, snapshot):
        self.repository, self.source = repository, source
        self.keys = repository.source_keys(source)
        frames = repository.open(f"{source}/snapshots/{snapshot}", 4, self.keys)
        self.head = read_head(frames[0])
        assert self.head["id"] == snapshot and self.head["source"] == source
        assert frames[-1] == b""
        self.packs, self.owners, self.files, self.streams = [], [], [], {}
        tables = {2: (self.packs, read_pack_row), 3: (self.owners, read_owner_row),
                  4: (self.files, read_file_row)}
        for frame in frames[1:-1]:
            wire = Wire(frame)
            section = wire.number("B")
            if section >= 128:
                continue
            if section not in tables:
                raise Refused(f"section {section}")
            rows, read = tables[section]
            rows.extend(read(wire) for _ in range(wire.varint()))
            wire.end()
        assert len(self.files) == self.head["files"] and len(self.packs) == self.head["packs"]
        paths = [file["path"].encode("utf-8", "surrogateescape") for file in self.files]
        assert paths == sorted(paths)

    def pack_stream(self, index):
        if index not in self.streams:
            row = self.packs[index]
            name = f"{self.source}/packs/{row['name'][:2]}/{row['name']}"
            data = (self.repository.path / name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == row["name"] and len(data) == row["size"]
            assert data[16:48] == row["salt"]
            frames = open_object(data, 3, f"{self.source}/packs", self.keys)
            table = Wire(frames[-1])
            assert table.varint() == len(frames) - 1 == row["chunks"]
            for frame in frames[:-1]:
                table.varint()
                assert table.varint() == len(frame)
                table.raw(16)
            table.no_critical()
            table.end()
            self.streams[index] = b"".join(frames[:-1])
        return self.streams[index]

    def content(self, file):
        parts = []
        for length, place in file["extents"]:
            if place is None:
                parts.append(bytes(length))
            else:
                part = self.pack_stream(place[0])[place[1]:place[1] + length]
                assert len(part) == length
                parts.append(part)
        return b"".join(parts)
