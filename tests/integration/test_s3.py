"""The main job and what goes wrong, with the repository in a bucket of a real S3 server."""
import random
import subprocess
import time
from datetime import timedelta

import botocore.exceptions
import pytest

import compare
import place
import s3server
from backstay import interrupt, verify_backup
from pgserver import wait_for
from relay import Relay

pytestmark = pytest.mark.once


def assert_restores(ws, server, backstay, name="back", options=()):
    """The newest snapshot equals the source, which rests."""
    server.settle()
    snapshot = backstay.next_backup()
    backstay.restore(ws.path / name, "--at", snapshot["snapshot"], *options)
    server.script("CHECKPOINT")
    compare.assert_equal(server.data, ws.path / name)
    return snapshot


def no_secret_in(result):
    assert s3server.SECRET not in result.stdout + result.stderr


@pytest.mark.quick
def test_the_main_job(ws, gateway):
    """Snapshot, increment, archiving, recovery to a moment: as with a directory."""
    bucket = gateway.bucket()
    server, backstay = ws.bucket_pair(bucket, more=", prefix: some/prefix")
    server.make_markers()
    server.bench_init()
    first = backstay.backup()
    server.mark("before")
    second = backstay.backup()
    assert first["mode"] == "full" and second["mode"] == "incremental"
    marker = server.mark("wanted")
    server.mark("unwanted")
    server.archive_all()
    assert backstay.complete() == [first["snapshot"], second["snapshot"]]
    assert backstay.status()["ok"]
    restored = ws.restored("back")
    backstay.restore(restored.data, "--at", f"xid:{marker.xid}")
    verify_backup(ws.path, restored.data)
    restored.start_restored()
    notes = [row[0] for row in restored.rows("SELECT note FROM markers ORDER BY 1")]
    assert "wanted" in notes and "unwanted" not in notes
    restored.amcheck()
    assert all(key.startswith("some/prefix/") for key in bucket.keys())


def test_over_tls(ws):
    """With its authority's certificate it works; without, one line says what to do."""
    gateway = s3server.S3Server(tls=True)
    try:
        server, backstay = ws.bucket_pair(gateway.bucket())
        assert_restores(ws, server, backstay)
        backstay.edit_config(f", ca_file: {gateway.ca_file}", "")
        backstay.fails(1, "certificate is not trusted.*ca_file", "list", "orders")
        server.stop("immediate")
    finally:
        gateway.stop()


def test_the_bucket_in_the_host_name(ws, gateway):
    bucket = gateway.bucket()
    text = s3server.config_for(bucket, ws.path, "bs", more=", address: virtual")
    backstay = ws.backstay(text=text.replace("127.0.0.1", "localhost"))
    backstay.run("init")
    assert "backstay.json" in bucket.keys()


def test_two_repositories_in_one_bucket(ws, gateway):
    bucket = gateway.bucket()
    for name in ("one", "two"):
        text = s3server.config_for(bucket, ws.path, name, more=f", prefix: {name}")
        assert "is ready" in ws.backstay(name=name, text=text).run("init").stdout
    assert {key.split("/")[0] for key in bucket.keys()} == {"one", "two"}


def test_kills_at_random_moments(ws, gateway):
    server, backstay = ws.bucket_pair(gateway.bucket())
    server.bench_init()
    chance = random.Random(20261124)
    for _ in range(place.KILLS):
        process = backstay.start("backup", "orders", "--max-rate", "30MiB", "--break-lease")
        time.sleep(chance.uniform(0.02, 2.5))
        interrupt(process)
        backstay.finish(process)
    server.assert_out_of_backup_mode()
    assert_restores(ws, server, backstay)


def test_the_gateway_dies_and_comes_back(ws, gateway):
    """During a backup, the archiving of WAL, and a restore: all of them go on."""
    server, backstay = ws.bucket_pair(gateway.bucket())
    server.bench_init()
    process = backstay.start("-q", "backup", "orders", "--max-rate", "8MiB", "--json")
    wait_for("the backup to hold the lease", lambda: backstay.status()["lease"] is not None)
    gateway.kill_gateway()
    time.sleep(0.5)
    gateway.start_gateway()
    result = backstay.finish(process)
    assert result.status == 0, result
    gateway.kill_gateway()
    push = backstay.start("wal", "push", "orders", server.data / "pg_wal" / server.value(
        "SELECT pg_walfile_name(pg_switch_wal())"))
    restore = backstay.start("restore", "orders", "--to", ws.path / "back", "--at",
                             result.json()["snapshot"])
    time.sleep(0.5)
    gateway.start_gateway()
    for process in (push, restore):
        result = backstay.finish(process)
        assert result.status == 0, result


class CuttingProxy(Relay):
    """Cuts the first connections after some of what the client sends."""

    def __init__(self, port, after):
        self._after = after
        self.cuts = 3
        super().__init__(port)

    def pieces(self, source, is_up):
        passed = 0
        for data in super().pieces(source, is_up):
            passed += len(data)
            if is_up and passed > self._after and self.cuts > 0:
                self.cuts -= 1
                return
            yield data


def test_connections_that_are_cut(ws, gateway):
    """In the middle of a put: it is put again, and nothing half is ever seen."""
    bucket = gateway.bucket()
    proxy = CuttingProxy(gateway.port, after=300000)
    server = ws.server()
    text = s3server.config_for(bucket, ws.path, "bs", server)
    backstay = ws.backstay(server, text=text.replace(f":{gateway.port}", f":{proxy.port}"))
    server.init(settings={"archive_command": backstay.archive_command()})
    backstay.run("init")
    server.start()
    try:
        assert_restores(ws, server, backstay)
        assert proxy.cuts == 0
    finally:
        server.stop("immediate")
        proxy.close()


def test_slow_down(ws):
    """The server refuses more than two requests at once; the work is done all the same."""
    gateway = s3server.S3Server(
        settings="rgw_scheduler_type = throttler\nrgw_max_concurrent_requests = 2")
    try:
        server, backstay = ws.bucket_pair(gateway.bucket())
        server.bench_init()
        assert_restores(ws, server, backstay)
        server.stop("immediate")
    finally:
        gateway.stop()


def test_a_used_up_quota(ws):
    gateway = s3server.S3Server()
    try:
        server, backstay = ws.bucket_pair(gateway.bucket())
        gateway.admin("quota", "set", "--quota-scope=user", "--uid=test", "--max-size=1000000")
        gateway.admin("quota", "enable", "--quota-scope=user", "--uid=test")
        server.script("CREATE TABLE noise AS SELECT g, md5(random()::text) AS t"
                      " FROM generate_series(1, 400000) g")
        # What the gateway knows of the use lags behind: it may take some objects more.
        for _ in range(20):
            result = backstay.attempt("-q", "backup", "orders", "--full")
            if result.status != 0:
                break
        assert result.status == 1, result
        backstay.assert_one_line(result, "quota is used up")
        gateway.admin("quota", "disable", "--quota-scope=user", "--uid=test")
        assert_restores(ws, server, backstay)
        server.stop("immediate")
    finally:
        gateway.stop()


def test_errors_are_one_line(ws, gateway):
    """Wrong secret, unknown key, missing bucket, nobody there: what failed, and what to do."""
    bucket = gateway.bucket()
    text = s3server.config_for(bucket, ws.path, "bs")
    backstay = ws.backstay(text=text)
    credentials = ws.path / "bs.credentials"
    s3server.write_credentials(credentials, secret="wrong")
    no_secret_in(backstay.fails(1, "secret key is wrong", "init"))
    s3server.write_credentials(credentials, key="unknown")
    no_secret_in(backstay.fails(1, "does not know the access key", "init"))
    s3server.write_credentials(credentials, mode=0o644)
    no_secret_in(backstay.fails(2, "can be read by others|read by group|chmod 600", "init"))
    s3server.write_credentials(credentials)
    backstay.fails(2, "key file .* is missing", "list", "orders")
    backstay.edit_config(f"bucket: {bucket.name}", "bucket: no-such-bucket")
    backstay.fails(1, "no such bucket|there is no bucket", "init")
    backstay.write_config(text.replace(f":{gateway.port}", ":1").replace(" }", ", retry: 1s }", 1))
    backstay.fails(1, "127.0.0.1", "init")
    backstay.write_config(text.replace(f"{ws.path}/bs.credentials", "/nowhere/credentials"))
    backstay.fails(1, "there are no credentials.*/nowhere/credentials", "init")


def test_credentials_from_the_environment_and_a_profile(ws, gateway):
    bucket = gateway.bucket()
    text = s3server.config_for(bucket, ws.path, "bs").replace(
        f", credentials_file: {ws.path}/bs.credentials", "")
    backstay = ws.backstay(text=text)
    none = {"AWS_EC2_METADATA_DISABLED": "true"}
    result = backstay.attempt("-q", "init", env=none)
    assert result.status == 1, result
    backstay.assert_one_line(result, "AWS_ACCESS_KEY_ID")
    backstay.run("init", env={"AWS_ACCESS_KEY_ID": s3server.KEY,
                              "AWS_SECRET_ACCESS_KEY": s3server.SECRET, **none})
    directory = place.make_directory(ws.path / ".aws")
    s3server.write_credentials(directory / "credentials")
    text = (directory / "credentials").read_text().replace("[default]", "[backup]")
    (directory / "credentials").write_text(text)
    backstay.run("list", "orders", env={"AWS_PROFILE": "backup", **none})


def test_who_may_put_but_not_delete(ws, gateway):
    """Backups, archiving and recovery need no permission to delete."""
    bucket = gateway.bucket()
    key, secret = gateway.user("writer")
    bucket.allow("writer", "PutObject", "GetObject", "ListBucket", "GetBucketVersioning")
    server = ws.server()
    backstay = ws.backstay(server, text=s3server.config_for(bucket, ws.path, "bs", server))
    s3server.write_credentials(ws.path / "bs.credentials", key, secret)
    server.init(settings={"archive_command": backstay.archive_command()})
    backstay.run("init")
    server.start()
    server.make_markers()
    assert_restores(ws, server, backstay, "one")
    server.mark("more")
    assert_restores(ws, server, backstay, "two")
    assert len(backstay.complete()) == 2
    with pytest.raises(botocore.exceptions.ClientError):
        gateway.client(key, secret).delete_object(Bucket=bucket.name, Key=bucket.keys()[0])


def vandalise(bucket):
    """What a thief of the writer's credentials can do: delete and overwrite whatever there is, and
    try to remove every version."""
    for key in bucket.keys():
        bucket.delete(key)
    for number, (key, version) in enumerate(bucket.versions()):
        try:
            bucket.client.delete_object(Bucket=bucket.name, Key=key, VersionId=version)
        except botocore.exceptions.ClientError as refusal:
            assert refusal.response["Error"]["Code"] == "AccessDenied"
        if number % 2:
            bucket.put(key, b"rubbish")


def test_a_damaged_manifest(ws, gateway):
    """In a bucket without versions there is no other answer: it is told of, and the others serve."""
    bucket = gateway.bucket()
    server, backstay = ws.bucket_pair(bucket)
    first, second = backstay.backup(), backstay.backup()
    server.archive_all()
    bucket.put(f"orders/snapshots/{second['snapshot']}", b"rubbish")
    for _ in range(2):
        result = backstay.attempt("list", "orders", "--json")
        assert second["snapshot"] in result.stdout + result.stderr
        assert backstay.complete() == [first["snapshot"]]
        assert second["snapshot"] in backstay.attempt("status", "orders").stdout
    backstay.restore(ws.path / "back")
    verify_backup(ws.path, ws.path / "back")


def write_history(directory, number):
    path = directory / f"{number:08X}.history"
    path.write_text(f"1\t0/{number}000000\tno reason\n", encoding="utf-8")
    place.give_to_owner(path)
    return path


def test_a_file_that_is_gone_from_the_bucket(ws, gateway):
    """The local cache remembers it, the bucket has it no more: it is put again, and no call fails."""
    bucket = gateway.bucket()
    server, backstay = ws.bucket_pair(bucket)
    path = write_history(place.wal_directory_of(server, ws.path / "of-history"), 5)
    for _ in range(3):
        backstay.run("wal", "push", "orders", str(path))
    key, = [key for key in bucket.keys("orders/wal/") if key.endswith(path.name)]
    bucket.delete(key)
    backstay.run("wal", "push", "orders", str(path))
    assert key in bucket.keys()


def test_processes_that_make_a_source_at_once(ws, gateway):
    """In a bucket that ignores the condition of a put: all use the key of the one that was first."""
    for options in ({"versions": True}, {"lock": True}):
        bucket = gateway.bucket(**options)
        more = lock() if "lock" in options else ""
        name = f"at-{len(options)}-{list(options)[0]}"
        server, backstay = ws.bucket_pair(bucket, name=name, more=more)
        directory = place.wal_directory_of(server, ws.path / f"of-{name}")
        paths = [write_history(directory, number) for number in range(3, 9)]
        running = [backstay.start("wal", "push", "orders", str(path)) for path in paths]
        assert [process.wait() for process in running] == [0] * len(paths)
        for path in paths:
            back = path.with_suffix(".back")
            backstay.run("wal", "fetch", "orders", path.name, str(back))
            assert back.read_bytes() == path.read_bytes()


def lock(mode="governance", period="2h"):
    return f", lock: {{ mode: {mode}, period: {period} }}"


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_a_locked_bucket_outlives_a_thief(ws, gateway, mode):
    """Everything that can be deleted is, and overwritten with rubbish; the data come back."""
    bucket = gateway.bucket(lock=True)
    server, backstay = ws.bucket_pair(bucket, more=lock(mode))
    server.make_markers()
    backstay.backup()
    server.mark("kept")
    second = backstay.backup()
    server.archive_all()
    server.stop("immediate")
    before = set(bucket.versions())
    vandalise(bucket)
    lost = {key.split("/")[1] for key, _ in before - set(bucket.versions())}
    assert lost == {"lease"}, "leases alone are not locked"
    assert backstay.complete()[-1] == second["snapshot"]
    assert backstay.attempt("status", "orders").status in (0, 1)
    restored = ws.restored("back")
    backstay.restore(restored.data)
    verify_backup(ws.path, restored.data)
    restored.start_restored()
    assert "kept" in [row[0] for row in restored.rows("SELECT note FROM markers")]


def test_keys_are_locked_for_as_long_as_snapshots(ws, gateway):
    """They are put once, when the repository is made; each snapshot, and each copy of one, extends
    their locks to its own time."""
    bucket, archive = gateway.bucket(lock=True), gateway.bucket(lock=True)
    _, backstay = ws.bucket_pair(bucket, more=lock(period="1m"))
    other = s3server.config_for(archive, ws.path, "vault", more=lock(period="1m"))
    backstay.edit_config("repositories:\n", "repositories:\n  vault:"
                         + other.split("\n  offsite:")[1].split("sources:")[0])
    backstay.run("init")
    backstay.edit_config("period: 1m", "period: 2h")
    snapshot = backstay.backup()
    backstay.run("copy", "orders", "--from", "offsite", "--to", "vault")
    for each in (bucket, archive):
        until = {key: each.locked_until(key) for key in each.keys()
                 if key.startswith(("backstay.json", "keys/", "orders/key/"))}
        assert len(until) == 3, until
        manifest = each.head(f"orders/snapshots/{snapshot['snapshot']}")["LastModified"]
        assert all(time >= manifest + timedelta(hours=2) for time in until.values()), until


def test_a_longer_lock_reaches_what_is_taken_over(ws, gateway):
    bucket = gateway.bucket(lock=True)
    _, backstay = ws.bucket_pair(bucket, more=lock(period="1h"))
    backstay.backup()
    before = bucket.keys("orders/packs/")
    backstay.edit_config("period: 1h", "period: 2d")
    snapshot = backstay.backup()
    assert snapshot["mode"] == "incremental" and snapshot["reused_bytes"] > 0
    manifest = bucket.head(f"orders/snapshots/{snapshot['snapshot']}")["LastModified"]
    until = [bucket.locked_until(key) for key in before]
    assert max(until) >= manifest + timedelta(days=2), "a pack may be given up, not all of them"
    again = bucket.locked_until(before[0])
    backstay.backup()
    assert bucket.locked_until(before[0]) == again, "once a quarter"


def test_in_a_bucket_with_versions_nothing_is_lost(ws, gateway):
    """Deleted (by a marker) and overwritten objects: the first version is the object."""
    bucket = gateway.bucket(versions=True)
    server, backstay = ws.bucket_pair(bucket)
    snapshot = assert_restores(ws, server, backstay, "one")
    for number, key in enumerate(bucket.keys()):
        if number % 2:
            bucket.delete(key)
        else:
            bucket.put(key, b"rubbish")
    assert backstay.complete() == [snapshot["snapshot"]]
    backstay.restore(ws.path / "two", "--at", snapshot["snapshot"])
    compare.assert_equal(ws.path / "one", ws.path / "two")


def test_what_objects_bear(ws, gateway):
    """Storage classes by kind, tags, the server's encryption by KMS."""
    bucket = gateway.bucket()
    server, backstay = ws.bucket_pair(
        bucket, more=", storage_class: STANDARD_IA, storage_classes: { wal: STANDARD },"
        " tags: { team: 'data base', env: test }, sse: 'aws:kms', kms_key: testkey-1")
    assert_restores(ws, server, backstay)
    classes = {key.split("/")[1]: bucket.head(key).get("StorageClass", "STANDARD")
               for key in bucket.keys("orders/")}
    assert classes["packs"] == classes["snapshots"] == "STANDARD_IA"
    assert classes["wal"] == classes["key"] == "STANDARD"
    key = bucket.keys("orders/packs/")[0]
    assert bucket.head(key)["ServerSideEncryption"] == "aws:kms"
    tags = bucket.client.get_object_tagging(Bucket=bucket.name, Key=key)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "data base", "env": "test"}


def test_a_key_of_the_customer(ws, gateway):
    """Without the customer's key the server gives nothing back."""
    bucket = gateway.bucket()
    key = ws.path / "customer.key"
    key.write_text("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
    key.chmod(0o600)
    place.give_to_owner(key)
    server, backstay = ws.bucket_pair(bucket, more=f", sse: customer, customer_key_file: {key}")
    assert_restores(ws, server, backstay)
    with pytest.raises(botocore.exceptions.ClientError):
        bucket.get(bucket.keys("orders/packs/")[0])


def test_a_directory_and_a_bucket(ws, gateway):
    """Read once and put to both; what one has damaged is read from the other."""
    bucket = gateway.bucket()
    server = ws.server()
    text = s3server.config_for(bucket, ws.path, "bs", server)
    backstay = ws.backstay(server, text=text)
    backstay.edit_config("repositories:\n", f"repositories:\n  local: {{ path: {ws.path}/local,"
                         f" key_file: {ws.path}/local.key }}\n")
    backstay.edit_config("to: [offsite]", "to: [local, offsite]")
    backstay.repository = ws.path / "local"
    server.init(settings={"archive_command": backstay.archive_command()})
    backstay.run("init")
    server.start()
    snapshot = assert_restores(ws, server, backstay, "one")
    names = {backstay.object_name(path) for path in backstay.objects("orders/packs")}
    assert names == set(bucket.keys("orders/packs/"))
    for path in backstay.objects("orders/packs"):
        path.write_bytes(path.read_bytes()[:-100])
    backstay.restore(ws.path / "two", "--at", snapshot["snapshot"])
    compare.assert_equal(ws.path / "one", ws.path / "two")


@pytest.mark.skipif(not place.IS_ROOT, reason="makes a network namespace, which root may")
def test_an_empty_machine(ws, gateway):
    """A namespace with no way out but to the gateway, an empty directory, the binary, the key and
    five lines of configuration: the database comes back and runs."""
    bucket = gateway.bucket()
    server, backstay = ws.bucket_pair(bucket)
    server.make_markers()
    backstay.backup()
    server.mark("kept")
    server.archive_all()
    server.stop("immediate")
    home = ws.directory("machine")
    name = f"bk{random.randrange(10 ** 8)}"
    key = home / "offsite.key"
    key.write_bytes(backstay.key_file.read_bytes())
    key.chmod(0o600)
    place.give_to_owner(key)
    s3server.write_credentials(home / "credentials")
    relay = NamespaceRelay(gateway.port, name)
    try:
        machine = ws.backstay(name="machine-bs", text=f"""\
repositories:
  offsite:
    s3: {{ bucket: {bucket.name}, endpoint: "http://{relay.address}:{gateway.port}",
          credentials_file: {home}/credentials }}
    key_file: {key}
""")
        inside = ["ip", "netns", "exec", name]
        for args in (["list"], ["status"], ["restore", "orders", "--to", home / "pg", "--start",
                                            "--pg-port", "5499"]):
            argv = inside + place.as_owner(machine.argv(args))
            result = subprocess.run([str(each) for each in argv], text=True, capture_output=True,
                                    cwd="/", env=place.environment(home), check=False)
            assert result.returncode == 0, result
        row = subprocess.run(inside + place.as_owner(
            [place.PG_BIN / "psql", "-h", server.sockets, "-p", "5499", "-U", "postgres", "-Atc",
             "SELECT note FROM markers"]), text=True, capture_output=True, cwd="/", check=True)
        assert "kept" in row.stdout.split()
    finally:
        place.run_as_owner([place.PG_BIN / "pg_ctl", "-D", home / "pg", "-m", "immediate", "stop"],
                           ws.path, check=False)
        relay.close()


class NamespaceRelay(Relay):
    """A network namespace whose only way leads to the gateway's port."""

    def __init__(self, port, name):
        self._name = name
        self.address = "10.213.78.1"
        link = name[:8]
        for line in (f"ip netns add {name}", f"ip link add {link} type veth peer name eth0 netns {name}",
                     f"ip addr add {self.address}/30 dev {link}", f"ip link set {link} up",
                     f"ip -n {name} addr add 10.213.78.2/30 dev eth0", f"ip -n {name} link set eth0 up",
                     f"ip -n {name} link set lo up"):
            subprocess.run(line.split(), check=True)
        self._link = link
        super().__init__(port, (self.address, port))

    def close(self):
        super().close()
        subprocess.run(["ip", "link", "del", self._link], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self._name], check=False, capture_output=True)


def test_copied_into_a_locked_bucket(ws, gateway):
    """Another bucket, another storage class, locks: what is there afterwards is enough by itself."""
    first, second = gateway.bucket(), gateway.bucket(lock=True)
    server, backstay = ws.bucket_pair(first)
    more = lock() + ", storage_class: STANDARD_IA"
    other = s3server.config_for(second, ws.path, "vault", more=more).split("\n  offsite:")[1]
    backstay.edit_config("repositories:\n", "repositories:\n  vault:"
                         + other.split("sources:")[0])
    backstay.run("init")
    server.make_markers()
    backstay.backup()
    server.mark("kept")
    snapshot = backstay.backup()
    server.archive_all()
    report = backstay.json("copy", "orders", "--from", "offsite", "--to", "vault")
    assert report["requests"]["put"] >= len(first.keys("orders/packs/"))
    backstay.run("repo", "check", "offsite", "vault")
    again = backstay.json("copy", "orders", "--from", "offsite", "--to", "vault")
    assert again["requests"]["put"] <= 2, "a lease at most"
    key = second.keys("orders/packs/")[0]
    assert second.head(key)["StorageClass"] == "STANDARD_IA"
    assert second.head(key)["ObjectLockMode"] == "GOVERNANCE"
    for key in first.keys():
        first.delete(key)
    text = backstay.config.read_text(encoding="utf-8")
    alone = ws.backstay(name="alone", text="repositories:\n  vault:" + text.split("  vault:")[1]
                        .split("  offsite:")[0])
    alone.restore(ws.path / "back", "--at", snapshot["snapshot"])
    verify_backup(ws.path, ws.path / "back")


def test_much_to_copy(ws, gateway):
    """A bucket that missed hundreds of objects gets each of them once, though its gateway dies on the
    way and so does the program."""
    bucket = gateway.bucket()
    server = ws.server("pg")
    # Slow enough to be met on the way.
    text = s3server.config_for(bucket, ws.path, "both", server, ", max_send_rate: 1MiB").replace(
        "repositories:\n", "repositories:\n"
        f"  local: {{ path: {ws.path}/local, key_file: {ws.path}/local.key }}\n").replace(
        "to: [offsite]", "to: [local]")
    backstay = ws.backstay(server, name="both", text=text)
    server.init(wal_segsize_mb=1, settings={"archive_command": backstay.archive_command()})
    backstay.run("init")
    server.start()
    server.make_markers()
    backstay.backup()
    for _ in range(300):
        server.script("INSERT INTO markers DEFAULT VALUES", "SELECT pg_switch_wal()")
    server.archive_all()
    snapshot = backstay.backup()
    wanted = {str(path.relative_to(ws.path / "local")) for directory in ("packs", "snapshots", "wal")
              for path in (ws.path / "local" / "orders" / directory).rglob("*") if path.is_file()}

    def copied():
        return {key for directory in ("packs", "snapshots", "wal")
                for key in bucket.keys(f"orders/{directory}/")}

    args = ("copy", "orders", "--from", "local", "--to", "offsite", "--json")
    process = backstay.start(*args)
    wait_for("some to be copied", lambda: len(copied()) > 20)
    gateway.kill_gateway()
    time.sleep(0.5)
    gateway.start_gateway()
    wait_for("more to be copied", lambda: len(copied()) > 80 or process.poll() is not None)
    assert process.poll() is None, "it goes on when the gateway is back, and is not done yet"
    interrupt(process)
    process.communicate()
    before = copied()
    report = backstay.run(*args).json()
    assert copied() >= {name for name in wanted if "/wal/" not in name}
    assert len(copied()) > 300
    lacked = len(copied()) - len(before)
    assert lacked <= report["requests"]["put"] <= lacked + 4, "each once, and a lease"
    alone = ws.backstay(name="alone", text="repositories:\n  offsite:"
                        + text.split("  offsite:")[1].split("sources:")[0])
    alone.restore(ws.path / "back", "--at", snapshot["snapshot"])
    verify_backup(ws.path, ws.path / "back")


def test_requests(ws, gateway):
    """As many puts as packs, and so many more whatever the size; heads are read once; a restore gets
    each pack about once, after it has opened it (of many, 64) to prove the plan."""
    server, backstay = ws.bucket_pair(gateway.bucket())
    small = backstay.backup("--full")
    # Random, so that it fills several packs.
    server.script("CREATE EXTENSION pgcrypto", "CREATE TABLE noise AS SELECT gen_random_bytes(1000)"
                  " FROM generate_series(1, 100000)", "CHECKPOINT")
    server.archive_all()
    large = backstay.backup("--full")
    assert large["packs"] >= small["packs"] + 2
    constant = small["requests"]["put"] - small["packs"]
    assert large["requests"]["put"] - large["packs"] <= constant + 2
    for command in ("list", "status"):
        backstay.attempt(command, "orders", "--json")
        seen = backstay.attempt(command, "orders", "--json").json()["requests"]
        assert seen["list"] <= 5 and seen["get"] <= 6, (command, seen)
    report = backstay.restore(ws.path / "back", "--at", large["snapshot"])
    assert report["requests"]["get"] <= large["packs"] * 4 + 10, report["requests"]
    result = backstay.run("-v", "list", "orders")
    assert "requests: " in result.stderr and " list" in result.stderr
