"""The trials on a bucket: backup to and restore from a gateway on this machine, against its own rate
and against pgBackRest, and with the gateway 50 ms away."""
import os
import shutil

from cluster import warm
from contenders import Backstay, PgBackRest
from gateway import KEY, SECRET, Gateway, LateRelay
from meter import measure
from trials import OURS, PEER1, Row

STORED = "backstay stored"
UNBUNDLED = f"{PEER1}, unbundled"  # its default
PORT = 54680
DELAY_MS = 50  # of a round trip


class BucketBackstay(Backstay):
    """Backstay with its repository in a bucket."""

    def __init__(self, label, home, binary, cluster, gateway, bucket, method="zstd"):
        super().__init__(label, home, binary, cluster)
        self._gateway, self._bucket, self._method = gateway, bucket, method
        self.url = gateway.url

    def prepare(self):
        os.makedirs(self.repository)  # says that there is one
        self.write("credentials", f"[default]\naws_access_key_id = {KEY}\n"
                                  f"aws_secret_access_key = {SECRET}\n")
        trust = f", ca_file: {self._gateway.ca_file}" if self._gateway.ca_file else ""
        self.write("backstay.yaml", f"""state_dir: {self.home}/state
repositories:
  bucket:
    s3: {{ bucket: {self._bucket}, endpoint: "{self.url}", address: path,
          credentials_file: {self.home}/credentials{trust} }}
    key_file: {self.home}/bucket.key
sources:
  bench:
    postgres:
      connection: "host={self._cluster.socket} port={self._cluster.port} dbname=postgres"
      data: {self._data}
    to: [bucket]
    workers: 2
    compress: {{ method: {self._method} }}
""")
        self._gateway.empty_bucket(self._bucket)
        self.command([self._binary, "-c", self._config, "init"])

    def stored_bytes(self):
        return self._gateway.stored(self._bucket)


class BucketPgBackRest(PgBackRest):
    def __init__(self, label, home, cluster, gateway, bucket, bundle):
        super().__init__(label, home, cluster, level=1, bundle=bundle)
        self._gateway, self._bucket = gateway, bucket

    def write(self, name, text):
        if name == "pgbackrest.conf":
            text = text.replace(f"repo1-path={self.repository}\n", f"""repo1-path=/pgbackrest
repo1-type=s3
repo1-s3-bucket={self._bucket}
repo1-s3-endpoint=localhost
repo1-storage-port={self._gateway.port}
repo1-storage-ca-file={self._gateway.ca_file}
repo1-s3-key={KEY}
repo1-s3-key-secret={SECRET}
repo1-s3-region=us-east-1
repo1-s3-uri-style=path
""")
            self._gateway.empty_bucket(self._bucket)
        return super().write(name, text)

    def stored_bytes(self):
        return self._gateway.stored(self._bucket)


class BucketTrials:
    def __init__(self, bench):
        self._bench = bench
        self._restores = 0

    def _fresh(self):
        """A directory that is not there, of a name of its own."""
        self._restores += 1
        to = os.path.join(self._bench.work, "restored", str(self._restores))
        os.makedirs(os.path.dirname(to), exist_ok=True)
        return to

    @staticmethod
    def _empty(to):
        """Gives space and page cache back. The files stay until the end: ext4 does not use an inode
        again for minutes, and looks through all of those whenever a file is made."""
        for directory, _, names in os.walk(to):
            for name in names:
                path = os.path.join(directory, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    os.truncate(path, 0)

    def bucket(self):
        """Over TLS, which pgBackRest needs; ours stored as it is, too, to measure the way alone."""
        gateway = Gateway(os.path.join(self._bench.work, "gateway"), PORT).start()
        try:
            return self._compare(gateway)
        finally:
            self._bench.cluster("quarter").stop()  # which waits until its WAL is archived
            gateway.stop()
            shutil.rmtree(gateway.home, ignore_errors=True)

    def _compare(self, gateway):
        cluster, home = self._bench.cluster("quarter"), os.path.join(self._bench.work, "bucket")
        contenders = []
        for label, method in ((OURS, "zstd"), (STORED, "none")) if self._bench.binary else ():
            contenders.append(BucketBackstay(label, os.path.join(home, method), self._bench.binary,
                                             cluster, gateway, f"ours-{method}", method))
            gateway.make_bucket(f"ours-{method}")
        for label, bucket, bundle in ((PEER1, "peer", True), (UNBUNDLED, "peer-unbundled", False)):
            gateway.make_bucket(bucket)
            contenders.append(BucketPgBackRest(label, os.path.join(home, bucket), cluster, gateway,
                                               bucket, bundle))
        own = Row("bucket, the gateway itself", "curl, 4 streams")
        rows = {}
        cluster.start()
        warm(cluster.data)
        gateway.make_bucket("rate")
        for turn in range(self._bench.runs):
            rate = gateway.rates("rate", home if os.path.isdir(home) else self._bench.work)
            own.add({"wall": 0, "cpu": 0, "peak": 0}, **{f"{name} MB/s": value / 1e6
                                                         for name, value in rate.items()})
            for contender in contenders:
                self._turn(contender, cluster, gateway, rows, f"{turn + 1}/{self._bench.runs}")
        return [own, *rows.values()]

    def _turn(self, contender, cluster, gateway, rows, turn):
        contender.empty()
        cluster.archive_with(contender.archive_command)
        raw = cluster.bytes()
        for job in ("backup", "restore"):
            row = rows.setdefault((job, contender.label), Row(f"bucket, {job}", contender.label))
            to = self._fresh()
            argv = contender.backup() if job == "backup" else contender.restore(to)
            os.sync()
            before = gateway.requests()
            result = measure(argv, contender.log)
            stored = contender.stored_bytes()
            row.add(result, stored=stored, requests=gateway.requests() - before, **{
                "raw MB/s": raw / result["wall"] / 1e6, "stored MB/s": stored / result["wall"] / 1e6})
            self._bench.say(f"bucket, {job} {turn} {contender.label}: {result['wall']:.2f} s")
            self._empty(to)

    def bucketdelay(self):
        """The gateway near, and then far: both through a relay. With little data what is seen are the
        round trips that do not depend on its size, with more what does."""
        gateway = Gateway(os.path.join(self._bench.work, "gateway"), PORT, tls=False).start()
        relay = LateRelay(gateway.port)
        rows = []
        try:
            for name in ("quarter", "full"):
                rows += self._far(gateway, relay, name)
            return rows
        finally:
            relay.close()
            gateway.stop()
            shutil.rmtree(gateway.home, ignore_errors=True)

    def _far(self, gateway, relay, data):
        cluster, home = self._bench.cluster(data), os.path.join(self._bench.work, f"far-{data}")
        ours = BucketBackstay(OURS, home, self._bench.binary, cluster, gateway, f"far-{data}")
        ours.url = f"http://localhost:{relay.port}"
        gateway.make_bucket(f"far-{data}")
        rows = {}
        cluster.start()
        warm(cluster.data)
        for turn in range(self._bench.runs):
            for name, delay in (("near", 0), ("50 ms away", DELAY_MS)):
                relay.delay = delay / 2000
                ours.empty()
                cluster.archive_with(ours.archive_command)
                for job in ("backup", "restore"):
                    to = self._fresh()
                    row = rows.setdefault((job, name), Row(f"bucket, {job} of {data}, {name}", OURS))
                    os.sync()
                    result = measure(ours.backup() if job == "backup" else ours.restore(to), ours.log)
                    row.add(result)
                    self._bench.say(f"bucket, {job} of {data}, {name} {turn + 1}/{self._bench.runs}: "
                                    f"{result['wall']:.2f} s")
                    self._empty(to)
        cluster.stop()
        gateway.empty_bucket(f"far-{data}")
        return list(rows.values())
