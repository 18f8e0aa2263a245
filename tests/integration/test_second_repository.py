"""A second repository that is slow, hangs, is full or cannot be written, beside a good one: required
or best effort. Whatever it does, the good one keeps what it was given, and that can be recovered."""
import contextlib
import socket
import subprocess
import time

import pytest

import place
import s3server
from pgserver import wait_for
from relay import Relay

pytestmark = pytest.mark.once

FAULTS = ["slow", "hanging", "full", "read-only"]


class SlowRelay(Relay):
    """Each answer comes some time later."""

    def __init__(self, port, delay):
        self._delay = delay
        super().__init__(port)

    def pieces(self, source, is_up):
        for data in super().pieces(source, is_up):
            time.sleep(0 if is_up else self._delay)
            yield data


class Pair:
    """A server that archives into `local`, and into `second` once it is `broken`."""

    def __init__(self, ws, gateway, is_required):
        self.ws, self.gateway = ws, gateway
        self.is_required = is_required
        self.clean_ups = []
        self.server, self.backstay = ws.pair(wal_segsize_mb=1)
        self.server.make_markers()

    def add_second(self, place_of_it):
        self.backstay.edit_config("sources:", f"  second: {{ {place_of_it}, key_file: "
                                              f"{self.ws.path / 'second.key'} }}\nsources:")
        self.backstay.edit_config("to: [local]", "to: [local, second]" + (
            "" if self.is_required else "\n    best_effort: [second]"))
        self.backstay.run("init")

    def add_bucket(self, port):
        """The bucket behind the gateway, by another port after the repository was made. Who waits
        for an answer that never comes does so for a second, and tries once more."""
        bucket = self.gateway.bucket()
        credentials = self.ws.path / "second.credentials"
        s3server.write_credentials(credentials)
        self.add_second(f's3: {{ bucket: {bucket.name}, endpoint: "{self.gateway.url}", '
                        f"credentials_file: {credentials}, idle_timeout: 1s, retry: 1s }}")
        self.backstay.edit_config(self.gateway.url, f"http://127.0.0.1:{port}")

    def mount(self, size):
        self.small = self.ws.directory("small")  # the workspace unmounts it
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", self.small],
                       check=True)
        place.give_to_owner(self.small)
        self.add_second(f"path: {self.small / 'second'}")

    def make_slow(self):
        relay = SlowRelay(self.gateway.port, 0.05)
        self.clean_ups.append(relay.close)
        self.add_bucket(relay.port)

    def make_hang(self):
        """Connections are accepted by the backlog, and nobody ever answers."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.clean_ups.append(listener.close)
        self.add_bucket(listener.getsockname()[1])

    def make_full(self):
        self.mount("4m")
        filler = self.small / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while file.write(bytes(65536)):
                pass

    def make_read_only(self):
        self.mount("64m")
        subprocess.run(["mount", "-o", "remount,ro", self.small], check=True)

    def close(self):
        for clean_up in self.clean_ups:
            clean_up()


@pytest.fixture(params=["required", "best effort"])
def pair(request, ws, gateway):
    found = Pair(ws, gateway, request.param == "required")
    yield found
    found.server.stop("immediate")
    found.close()


def local_segments(pair):
    return {path.name for path in pair.backstay.objects("orders/wal") if len(path.name) == 24}


@pytest.mark.skipif(not place.IS_ROOT or bool(place.CHROOT), reason="mounts small file systems")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_second_repository_in_trouble(pair, fault):
    backstay, server = pair.backstay, pair.server
    first = backstay.backup()["snapshot"]
    server.mark("before")
    server.archive_all()
    {"slow": pair.make_slow, "hanging": pair.make_hang, "full": pair.make_full,
     "read-only": pair.make_read_only}[fault]()
    is_served = fault == "slow" or not pair.is_required

    server.mark("during")
    segment = server.value("SELECT pg_walfile_name(pg_switch_wal())")
    # The good repository has the segment in any case; the archiver goes on only where it may.
    wait_for("the segment in the good repository", lambda: segment in local_segments(pair), 120)
    status = server.data / "pg_wal" / "archive_status"
    if is_served:
        wait_for("the archiver", lambda: not list(status.glob("*.ready")), 120)
    else:
        assert list(status.glob("*.ready"))

    result = backstay.attempt("-q", "backup", "orders")
    assert (result.status == 0) == is_served, result
    if not is_served:
        lines = result.error_lines()
        assert len(lines) == 1 and "second" in lines[0], result
    if fault != "slow":
        report = backstay.status()
        assert any("second" in problem for problem in report["problems"]), report

    # Recovery from the good one, whatever the second does; it has all that was committed.
    restored = pair.ws.restored("r")
    backstay.restore(restored.data, "--repository", "local")
    assert restored.start_restored().markers() == ["before", "during"]
    restored.stop("immediate")
    assert first in backstay.complete()

    # Without a word of which one: only a required one that does not answer may have more WAL.
    plain = pair.ws.restored("plain")
    backstay.restore(plain.data)
    if fault == "hanging" and pair.is_required:
        plain.start({"archive_mode": "off"}, wait=False)
        plain.wait_ended()
        assert "--repository" in plain.log.read_text()
        assert "archive recovery complete" not in plain.log.read_text()
    else:
        assert plain.start_restored().markers() == ["before", "during"]
        assert plain.value("SELECT timeline_id FROM pg_control_checkpoint()") == 2
