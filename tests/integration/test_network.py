"""What networks do: names that do not resolve, or late, or wrongly; answers that are cut or spoilt;
TLS where there is none. Never an abort, never success that is none, one line when it fails."""
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import place
import s3server
from faultyproxy import FaultyProxy
from pgserver import wait_for

pytestmark = pytest.mark.once

NO_SUCH = "s3.does-not-exist.invalid"


HOST = "bucket.example.test"


@pytest.fixture(scope="module")
def gateway():
    """One that takes the name for its own, and not for that of a bucket."""
    server = s3server.S3Server(settings=f"rgw_dns_name = {HOST}")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def plain(shared, gateway):
    """A server with a backup in a bucket, and the proxy before that bucket."""
    bucket = gateway.bucket()
    proxy = FaultyProxy(gateway.port)
    server = shared.server()
    text = s3server.config_for(bucket, shared.path, "bs", server, ", retry: 20s")
    backstay = shared.backstay(server, text=text)
    backstay.edit_config(gateway.url, f"http://127.0.0.1:{proxy.port}")
    server.init(settings={"archive_command": backstay.archive_command()}, wal_segsize_mb=1)
    backstay.run("init")
    server.start()
    server.make_markers()
    backstay.backup()
    server.archive_all()
    yield server, backstay, bucket, proxy
    proxy.close()


@pytest.fixture
def proxy(plain):
    plain[3].change, plain[3].seen = None, []
    yield plain[3]
    plain[3].change = None


def segment_of(server):
    server.rows("SELECT pg_switch_wal()")
    return server.data / "pg_wal" / server.value("SELECT pg_walfile_name(pg_current_wal_lsn() - 1)")


# --- names ------------------------------------------------------------------------------------


def test_a_name_that_does_not_resolve(ws):
    """Tried again like a refused connection, then one line; best effort, it takes nobody down."""
    server, backstay = ws.pair(settings={"archive_command": "/bin/false"}, wal_segsize_mb=1)
    s3server.write_credentials(ws.path / "credentials")
    backstay.edit_config("sources:", f"""\
  second:
    key_file: {backstay.key_file}
    s3: {{ bucket: bucket, endpoint: "http://{NO_SUCH}", retry: 1s,
          credentials_file: {ws.path}/credentials }}
sources:""")
    for command in (("repo", "check", "second"), ("repo", "list", "second")):
        backstay.fails(1, rf"{NO_SUCH}.*resolve", *command)
    backstay.edit_config("to: [local]", "to: [second, local]\n    best_effort: [second]")
    segment = segment_of(server)
    result = backstay.attempt("wal", "push", "orders", segment)
    assert result.status == 0 and NO_SUCH in result.stderr, result
    backstay.run("wal", "fetch", "orders", segment.name, ws.directory("fetched") / "file")
    server.configure({"archive_command": backstay.archive_command()})
    server.rows("SELECT pg_reload_conf()")
    result = backstay.attempt("backup", "orders")
    assert result.status == 0, result
    backstay.run("restore", "orders", "--to", ws.path / "restored", "--dry-run")
    backstay.edit_config("best_effort: [second]", "best_effort: [local]")
    segment = segment_of(server)  # the backup's checkpoint may have removed the first one
    backstay.fails(1, rf"{NO_SUCH}.*resolve", "wal", "push", "orders", segment)
    backstay.fails(1, rf"{NO_SUCH}.*resolve", "backup", "orders")


class Resolver:
    """The DNS of a mount namespace: `answer(name, nth question)` is an address, None for no such
    name, or "" for silence."""

    ADDRESS = "127.0.0.81"

    def __init__(self, directory):
        self.asked = 0
        self.answer = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.ADDRESS, 53))
        self._socket.settimeout(0.1)  # then it looks whether it is to end
        self.conf = directory / "resolv.conf"
        self.conf.write_text(f"nameserver {self.ADDRESS}\noptions timeout:1 attempts:1\n")
        self.conf.chmod(0o644)
        self._ends = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ends:
            try:
                question, client = self._socket.recvfrom(512)
            except TimeoutError:
                continue
            labels, at = [], 12
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += question[at] + 1
            kind = struct.unpack(">H", question[at + 1:at + 3])[0]
            if kind == 1:
                self.asked += 1
            address = self.answer(".".join(labels), self.asked)
            if address == "":
                continue
            asked = question[12:at + 5]
            answers = b""
            if address and kind == 1:
                answers = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton(address)
            flags = 0x8180 if address else 0x8183
            self._socket.sendto(question[:2] + struct.pack(
                ">HHHHH", flags, 1, 1 if answers else 0, 0, 0) + asked + answers, client)

    def argv(self, command):
        """The command line inside a namespace that asks this resolver."""
        return ["unshare", "-m", "sh", "-c",
                'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(self.conf),
                *place.as_owner(command)]

    def close(self):
        self._ends = True
        self._thread.join()
        self._socket.close()


@pytest.fixture
def resolver(ws):
    instance = Resolver(ws.path)
    yield instance
    instance.close()


needs_root = pytest.mark.skipif(not place.IS_ROOT or bool(place.CHROOT),
                                reason="makes a mount namespace, and listens on port 53")


@pytest.fixture
def named(plain, resolver):
    """The same repository, by a name that the resolver knows."""
    _, backstay, _, proxy = plain
    before = backstay.config.read_text()
    backstay.edit_config(f"http://127.0.0.1:{proxy.port}", f"http://{HOST}:{proxy.port}")

    def start(*args):
        return subprocess.Popen(resolver.argv(backstay.argv(args)), cwd="/", text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=place.environment(backstay.home))
    yield backstay, start
    backstay.write_config(before)


@needs_root
@pytest.mark.parametrize("wrong", [None, "", "127.0.0.82"])
def test_dns_that_fails_for_a_while(named, resolver, proxy, wrong):
    """No such name, silence, or an address where nobody is: then the right one, and all is well."""
    backstay, start = named
    resolver.answer = lambda name, nth: wrong if nth <= 3 else "127.0.0.1"
    result = backstay.finish(start("list", "orders"))
    assert result.status == 0 and "complete" in result.stdout, result
    assert resolver.asked > 3


@needs_root
def test_dns_that_answers_wrongly(named, resolver):
    """Something listens there, and it is no store."""
    backstay, start = named
    resolver.answer = lambda name, nth: "127.0.0.82"
    backstay.edit_config("retry: 20s", "retry: 1s")
    result = backstay.finish(start("-q", "list", "orders"))
    assert result.status == 1, result
    backstay.assert_one_line(result, "bucket.example.test")


@needs_root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancelling_while_dns_hangs(named, resolver, number):
    """The library's own look-up goes on for ever; the program does not wait for it."""
    backstay, start = named
    resolver.conf.write_text(f"nameserver {resolver.ADDRESS}\noptions timeout:30 attempts:5\n")
    resolver.answer = lambda name, nth: ""
    process = start("-q", "list", "orders")
    wait_for("a question", lambda: resolver.asked > 0)
    process.send_signal(number)
    result = backstay.finish(process, timeout=20) # the look-up itself would take minutes
    assert result.status == 1, result
    backstay.assert_one_line(result, "cancelled")


@needs_root
def test_archiving_keeps_its_bound_while_dns_hangs(ws, resolver, gateway):
    """A best-effort repository whose name is never answered costs the archiver its few seconds."""
    server, backstay = ws.pair(settings={"archive_command": "/bin/false"}, wal_segsize_mb=1)
    s3server.write_credentials(ws.path / "credentials")
    backstay.edit_config("sources:", f"""\
  second:
    key_file: {backstay.key_file}
    s3: {{ bucket: bucket, endpoint: "http://bucket.example.test", connect_timeout: 1h, retry: 1h,
          credentials_file: {ws.path}/credentials }}
sources:""")
    backstay.edit_config("to: [local]", "to: [local, second]\n    best_effort: [second]")
    resolver.conf.write_text(f"nameserver {resolver.ADDRESS}\noptions timeout:30 attempts:5\n")
    resolver.answer = lambda name, nth: ""
    process = subprocess.Popen(
        resolver.argv(backstay.argv(["wal", "push", "orders", segment_of(server)])), cwd="/",
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=place.environment(backstay.home))
    result = backstay.finish(process, timeout=60) # the look-up itself would take minutes
    assert result.status == 0 and "second" in result.stderr, result
    assert resolver.asked > 0


# --- answers ----------------------------------------------------------------------------------


def once_each(wanted, change):
    """Changes the first answer to each of the wanted requests."""
    done = set()

    def apply(method, path, head, body):
        key = (method, path.split("?")[0])
        if key in done or not wanted(method, path):
            return None
        done.add(key)
        return change(head, body)
    return apply, done


def test_answers_cut_in_their_headers(plain, proxy, ws):
    """Every first answer about an object is cut there, for GET and for PUT: nothing is taken for
    whole, and all comes out right."""
    server, backstay, _, _ = plain
    server.mark("before the cuts")
    proxy.change, done = once_each(lambda method, path: method in ("GET", "PUT"),
                                   lambda head, body: head[:len(head) // 2])
    report = backstay.backup()
    assert {method for method, _ in done} == {"GET", "PUT"}
    server.archive_all()
    proxy.change = None
    backstay.run("repo", "check", "offsite")
    restored = ws.restored("restored")
    proxy.change, done = once_each(lambda method, path: True,
                                   lambda head, body: head.rsplit(b"\r\n", 1)[0] + b"\r\n")
    backstay.run("restore", "orders", "--to", restored.data, "--at", report["snapshot"])
    assert any("/packs/" in path for _, path in done)


def spoil(head, body):
    """One bit in the middle of the body."""
    middle = len(body) // 2
    return head + b"\r\n\r\n" + body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1:]


def test_objects_spoilt_on_the_way(plain, proxy, ws):
    """Each object comes with a wrong bit the first time: it is fetched once more."""
    server, backstay, _, _ = plain
    proxy.change, done = once_each(
        lambda method, path: method == "GET" and re.search(r"/(packs|wal|snapshots|key)/", path),
        lambda head, body: spoil(head, body) if body else None)
    segment = server.data / "pg_wal" / server.value("SELECT last_archived_wal FROM pg_stat_archiver")
    backstay.run("wal", "fetch", "orders", segment.name, "--prefetch", "0",
                 ws.directory("fetched") / "file")
    assert (ws.path / "fetched" / "file").read_bytes() == segment.read_bytes()
    backstay.run("restore", "orders", "--to", ws.path / "restored", "--at", backstay.complete()[-1])
    for kind in ("packs", "wal", "snapshots"):
        assert any(f"/{kind}/" in path for _, path in done), done


def test_an_object_that_is_always_spoilt_is_damaged(plain, proxy, ws):
    server, backstay, _, _ = plain
    segment = server.value("SELECT last_archived_wal FROM pg_stat_archiver")
    proxy.change = lambda method, path, head, body: (
        spoil(head, body) if method == "GET" and f"/{segment}" in path else None)
    result = backstay.attempt("wal", "fetch", "orders", segment, ws.path / "file")
    assert result.status == 1 and not (ws.path / "file").exists(), result
    assert "reading the first version" in result.stderr and "is damaged" in result.stderr
    assert sum(f"/{segment}" in path for _, path in proxy.seen) == 2


def test_tls_and_plain_http_that_meet(plain, gateway, proxy):
    """Said at once and as what it is, however long it might have been tried again."""
    _, backstay, bucket, _ = plain
    secure = s3server.S3Server(tls=True)
    before = backstay.config.read_text()
    try:
        backstay.edit_config("retry: 20s", "retry: 1h")
        backstay.edit_config(f"http://127.0.0.1:{proxy.port}", secure.url.replace("https", "http"))
        backstay.fails(1, 'write "https://"', "list", "orders")
        backstay.edit_config(secure.url.replace("https", "http"), f"https://127.0.0.1:{gateway.port}")
        backstay.fails(1, "does not speak TLS", "list", "orders")
    finally:
        backstay.write_config(before)
        secure.stop()


def test_what_a_server_says_does_nothing_to_the_terminal(plain, proxy):
    _, backstay, _, _ = plain
    body = b"<Error><Code>Odd</Code><Message>\xc2\x9b31m\x7f\nbackstay: forged</Message></Error>"
    proxy.change = lambda method, path, head, _: (
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    backstay.fails(1, r"Odd: \\xc2\\x9b31m\\x7f\\x0abackstay: forged", "list", "orders")


# --- uploads that were left behind ------------------------------------------------------------


def test_uploads_that_were_left_behind(plain, proxy):
    """repo check names them; the next backup removes them when its writer was killed."""
    _, backstay, bucket, _ = plain
    start = lambda key: bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
    left = lambda: {each["Key"] for each in bucket.client.list_multipart_uploads(
        Bucket=bucket.name).get("Uploads", [])}
    pack, segment, foreign = f"orders/packs/00/{'0' * 64}", "orders/wal/x", "other/thing"
    process = backstay.start("backup", "orders", "--full", "--max-rate", "20k")
    wait_for("a lease", lambda: any("/lease/" in path and method == "PUT"
                                    for method, path in proxy.seen))
    process.kill()
    process.communicate()
    for key in (pack, segment, foreign):
        start(key)
    result = backstay.run("repo", "check", "offsite")
    assert f"upload of {pack}" in result.stdout and f"upload of {segment}" in result.stdout, result
    assert foreign not in result.stdout
    backstay.next_backup()
    assert left() == {segment, foreign}  # the archiver may be at it
    report = backstay.json("repo", "check", "offsite")
    problem, = report["sources"][0]["problems"]
    assert problem["code"] == "upload_incomplete" and report["ok"]


def test_repo_check_without_a_name(plain, ws):
    """Each repository of the configuration; one that cannot be checked keeps nobody from it."""
    _, backstay, _, _ = plain
    before = backstay.config.read_text()
    try:
        backstay.edit_config("repositories:\n", f"repositories:\n  away: {{ path: {ws.path}/away,"
                             f" key_file: {ws.path}/away.key }}\n")
        result = backstay.attempt("repo", "check")
        assert result.status != 0 and '"away" CANNOT BE CHECKED' in result.stdout, result
        assert 'orders in "offsite": ok' in result.stdout, result
    finally:
        backstay.write_config(before)
    report = backstay.json("repo", "check")
    assert [each["repository"] for each in report["checks"]] == ["offsite"] and report["ok"]


def test_copy_right_after_init(ws):
    """The guide's own steps: nothing is there yet, and that is no failure. A source that is gone
    is one."""
    server, backstay = ws.pair(wal_segsize_mb=1)
    backstay.edit_config("sources:", f"""\
  offsite: {{ path: {ws.path}/offsite, key_file: {ws.path}/offsite.key }}
sources:""")
    backstay.run("init")
    result = backstay.run("copy", "orders", "--from", "offsite", "--to", "local") \
        if not backstay.objects("orders/key") else None
    assert result is None or "Nothing to copy yet" in result.stdout, result
    backstay.run("repo", "check", "local", "offsite")
    backstay.backup()
    backstay.run("copy", "orders", "--from", "local", "--to", "offsite")
    (ws.path / "offsite" / "orders").rename(ws.path / "gone")
    backstay.fails(3, "has nothing of source", "copy", "orders", "--from", "offsite", "--to", "local")
