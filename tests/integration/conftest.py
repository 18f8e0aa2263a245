"""Fixtures: a directory of its own for each test or module, and servers that always stop."""
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

import faketime
import place
import s3server
import template
from backstay import Backstay
from pgserver import PgServer


# The modules that take longest, in this order: no worker is to begin one when the others are done.
LONGEST_FIRST = [
    "test_increments_property", "test_upgrade", "test_s3", "test_increments", "test_faults",
    "test_s3_lifecycle", "test_second_repository", "test_bytes", "test_main_job", "test_lines", "test_increment_doubts",
    "test_request_counts", "test_archiving", "test_network", "test_clocks", "test_lease",
    "test_destinations", "test_clusters", "test_crash", "test_refusals", "test_targets"]
# Modules whose tests share nothing but an S3 server: they need not run on the same worker.
APART = {"test_s3", "test_increments", "test_second_repository", "test_increment_doubts",
         "test_archiving", "test_copy", "test_crash", "test_lease", "test_clocks"}


class Workspace:
    """A directory with the servers and configurations of one test or one module."""

    def __init__(self, binary):
        self.binary = binary
        self.path = place.new_base_directory()
        self.servers = []

    def server(self, name="pg", programs=None):
        server = PgServer(self.path, name, 5432 + len(self.servers), programs)
        self.servers.append(server)
        return server

    def backstay(self, server=None, name="bs", text=None):
        return Backstay(self.binary, self.path, server, text, name)

    def pair(self, name="pg", settings=None, programs=None, **init):
        """A started server that archives into a new repository."""
        server = self.server(name, programs)
        backstay = self.backstay(server, name=f"{name}-bs")
        server.init(settings={"archive_command": backstay.archive_command(), **(settings or {})},
                    **init)
        backstay.run("init")
        server.start()
        return server, backstay

    def bucket_pair(self, bucket, name="pg", more="", settings=None, programs=None, **init):
        """The same with the repository in a bucket."""
        server = self.server(name, programs)
        text = s3server.config_for(bucket, self.path, f"{name}-bs", server, more)
        backstay = self.backstay(server, name=f"{name}-bs", text=text)
        server.init(settings={"archive_command": backstay.archive_command(), **(settings or {})},
                    **init)
        backstay.run("init")
        server.start()
        return server, backstay

    def restored(self, name):
        """A server for a directory that a restore will make."""
        return self.server(name)

    def directory(self, name):
        return place.make_directory(self.path / name)

    def stop_servers(self):
        for server in self.servers:
            server.stop("immediate")

    def close(self, keep):
        self.stop_servers()
        if keep:
            print(f"kept for a look: {self.path}")
            return
        subprocess.run(["umount", "-q", str(self.path / "small")], check=False,
                       stderr=subprocess.DEVNULL)
        shutil.rmtree(self.path, ignore_errors=True)


def pytest_configure():
    # Servers stop also when the run is told to end, and a run in the background, whose shell has
    # it ignore SIGINT, does not hand that on to the programs that the tests interrupt. On a busy
    # machine execnet may run a worker of pytest-xdist in another thread, which may set no signal:
    # it has the SIGINT of the process that started it, and this was set there.
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST_FIRST.index(item.module.__name__)
               if item.module.__name__ in LONGEST_FIRST else len(LONGEST_FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        """A module's tests run on one worker, in their order, those of APART each on any."""

        def _split_scope(self, nodeid):
            path = nodeid.split("::", 1)[0]
            return nodeid if Path(path).stem in APART else path

    return Scheduling(config, log)


def pytest_sessionfinish():
    template.remove_templates()
    faketime.remove_leftovers()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        item.session.stash.setdefault(failed_modules, set()).add(item.module.__name__)
        item.stash[failed_item] = True


failed_modules = pytest.StashKey()
failed_item = pytest.StashKey()


@pytest.fixture(scope="session")
def binary():
    base = place.new_base_directory()
    yield place.staged_binary("BACKSTAY", place.ROOT / "build" / "backstay", base)
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def gateways():
    """The S3 server of this worker, once one was started."""
    servers = []
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def gateway(gateways):
    """An S3 server for a whole module, which may hold the buckets of others."""
    if gateways and not gateways[0].is_usable():
        gateways.pop().stop()
    if not gateways:
        gateways.append(s3server.S3Server())
    return gateways[0]


@pytest.fixture(scope="module")
def shared(request, binary):
    """The workspace of a whole module."""
    workspace = Workspace(binary)
    yield workspace
    failed = request.session.stash.get(failed_modules, set())
    workspace.close(keep=request.module.__name__ in failed)


@pytest.fixture
def ws(request, binary):
    """The workspace of one test."""
    workspace = Workspace(binary)
    yield workspace
    workspace.close(keep=request.node.stash.get(failed_item, False))
