"""A real S3 server (Ceph's gateway) in a directory of its own: tests/s3-server, and what its owner
would do with it."""
import json
import os
import random
import re
import socket
import subprocess
import tempfile
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions

import place

SCRIPT = place.ROOT / "tests" / "s3-server"
MEMORY = 1 << 30  # bytes of a store, from which on a new one is begun
KEY, SECRET = "testaccesskey", "testsecretkey0123456789"


def find_port():
    """With one behind it that is free, too. Another process may take them: then start() tries others."""
    while True:
        port = random.randrange(20000, 32000)
        try:
            for each in (port, port + 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", each))
            return port
        except OSError:
            continue


class S3Server:
    """`settings` are lines for the gateway's configuration; S3_GUARD ends it with this process."""

    def __init__(self, tls=False, classes="STANDARD_IA", settings=""):
        self.tls = tls
        self._env = dict(os.environ, S3_CLASSES=classes, S3_SETTINGS=settings,
                         S3_GUARD=str(os.getpid()), **({"S3_TLS": "1"} if tls else {}))
        self._buckets = 0
        self._users = set()
        for _ in range(5):
            self.dir = Path(tempfile.mkdtemp(prefix="bks3-", dir=place.BASE))
            self.dir.chmod(0o755)
            self.port = find_port()
            result = self._run("start", str(self.port), check=False)
            if result.returncode == 0:
                break
            self._run("stop", check=False)
        assert result.returncode == 0, f"{result.stdout}{result.stderr}"
        self.url = result.stdout.strip()
        self.ca_file = self.dir / "tls" / "ca.pem"

    def _run(self, action, *args, check=True):
        return subprocess.run([SCRIPT, action, self.dir, *args], env=self._env, text=True,
                              capture_output=True, check=check)

    def stop(self):
        self._run("stop", check=False)
        subprocess.run(["rm", "-rf", self.dir], check=False)

    def kill_gateway(self):
        self._run("kill-gateway")

    def start_gateway(self):
        self._run("start-gateway")

    def admin(self, *args):
        return self._run("admin", *args).stdout

    def client(self, key=KEY, secret=SECRET):
        return boto3.client("s3", endpoint_url=self.url, aws_access_key_id=key,
                            aws_secret_access_key=secret, region_name="us-east-1",
                            verify=str(self.ca_file) if self.tls else None,
                            config=botocore.config.Config(s3={"addressing_style": "path"},
                                                          retries={"max_attempts": 2}, proxies={}))

    def bucket(self, versions=False, lock=False):
        """A new bucket of its own name."""
        self._buckets += 1
        return Bucket(self, f"bucket-{self._buckets}", versions, lock)

    def is_usable(self):
        """It answers, and what earlier tests left in it leaves memory for others."""
        if self._run("probe", check=False).returncode != 0:
            return False
        pid = (self.dir / "run" / "osd.0.pid").read_text().strip()
        resident, = re.findall(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(resident) << 10 < MEMORY

    def user(self, name):
        """Another user: key and secret."""
        if name not in self._users:
            self.admin("user", "create", f"--uid={name}", f"--display-name={name}",
                       f"--access-key={name}key", f"--secret-key={name}secret0123456789")
            self._users.add(name)
        return f"{name}key", f"{name}secret0123456789"


class Bucket:
    def __init__(self, server, name, versions, lock):
        self.server, self.name = server, name
        self.client = server.client()
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
        if versions:
            self.client.put_bucket_versioning(Bucket=name,
                                              VersioningConfiguration={"Status": "Enabled"})

    def allow(self, user, *actions):
        """What another user may do with the bucket and all in it."""
        self.client.put_bucket_policy(Bucket=self.name, Policy=json.dumps({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": [f"arn:aws:iam:::user/{user}"]},
                           "Action": [f"s3:{action}" for action in actions],
                           "Resource": [f"arn:aws:s3:::{self.name}",
                                        f"arn:aws:s3:::{self.name}/*"]}]}))

    def keys(self, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def versions(self, prefix=""):
        """Every version of every object: (key, version id)."""
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.name,
                                                                           Prefix=prefix)
        return [(each["Key"], each["VersionId"]) for page in pages
                for each in page.get("Versions", [])]

    def markers(self):
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.name)
        return [each["Key"] for page in pages for each in page.get("DeleteMarkers", [])]

    def head(self, key):
        return self.client.head_object(Bucket=self.name, Key=key)

    def locked_until(self, key):
        return self.client.get_object_retention(Bucket=self.name, Key=key)["Retention"][
            "RetainUntilDate"]

    def get(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def put(self, key, body):
        return self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def delete(self, key):
        self.client.delete_object(Bucket=self.name, Key=key)


CONFIG = """\
repositories:
  offsite:
    s3: {{ bucket: {bucket}, endpoint: "{url}", credentials_file: {home}/{name}.credentials{more} }}
    key_file: {home}/{name}.key
sources:
  orders:
    postgres:
      connection: "{connection}"
      data: {data}
    to: [offsite]
    workers: 2
"""


def write_credentials(path, key=KEY, secret=SECRET, mode=0o600):
    path = Path(path)
    path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n",
                    encoding="utf-8")
    path.chmod(mode)
    place.give_to_owner(path)


def config_for(bucket, home, name, server=None, more=""):
    """The text of a configuration whose only repository is the bucket; `more` is added to its
    options, as ", prefix: x"."""
    home = Path(home)
    write_credentials(home / f"{name}.credentials")
    if bucket.server.tls:
        more += f", ca_file: {bucket.server.ca_file}"
    return CONFIG.format(bucket=bucket.name, url=bucket.server.url, home=home, name=name, more=more,
                         connection=server.conninfo() if server else "host=/nowhere user=postgres",
                         data=server.data if server else "/nowhere")
