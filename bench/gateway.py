"""A real S3 server for the bench: started by tests/s3-server, asked by curl and boto3, its requests
counted in its own log; and a relay to have it far away."""
import contextlib
import os
import queue
import shutil
import subprocess
import sys
import threading
import time

import boto3
import botocore.config

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.append(os.path.join(TOP, "tests", "integration"))
from relay import Relay  # pylint: disable=wrong-import-position,wrong-import-order

SCRIPT = os.path.join(TOP, "tests", "s3-server")
KEY, SECRET = "testaccesskey", "testsecretkey0123456789"
STREAMS = 4
OBJECT = 32 << 20
OBJECTS_A_STREAM = 4


class Gateway:
    def __init__(self, home, port, tls=True, script=SCRIPT):
        self.home = home
        self.port = port
        self.tls = tls
        self.url = f"{'https' if tls else 'http'}://localhost:{port}"
        self.ca_file = os.path.join(home, "tls", "ca.pem") if tls else None
        self._script = script

    def start(self):
        env = dict(os.environ, S3_SETTINGS="debug_rgw = 1\n")
        if self.tls:
            env["S3_TLS"] = "1"
        done = subprocess.run([self._script, "start", self.home, str(self.port)], env=env,
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"s3-server: {done.stdout}{done.stderr}")
        return self

    def stop(self):
        subprocess.run([self._script, "stop", self.home], check=False, capture_output=True)

    def client(self):
        return boto3.client("s3", endpoint_url=self.url, aws_access_key_id=KEY,
                            aws_secret_access_key=SECRET, region_name="us-east-1",
                            verify=self.ca_file if self.tls else None,
                            config=botocore.config.Config(s3={"addressing_style": "path"},
                                                          signature_version="s3v4", proxies={}))

    def make_bucket(self, name):
        self.client().create_bucket(Bucket=name)

    def empty_bucket(self, name):
        client = self.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
            keys = [{"Key": each["Key"]} for each in page.get("Contents", [])]
            if keys:
                client.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})

    def stored(self, name):
        return sum(each["Size"] for page in self.client().get_paginator("list_objects_v2").paginate(
            Bucket=name) for each in page.get("Contents", []))

    def requests(self):
        """How many the gateway has answered since it was started."""
        with open(os.path.join(self.home, "log", "client.rgw.log"), errors="replace") as log:
            return sum(" beast: " in line for line in log)

    def rates(self, bucket, directory):
        """Bytes a second that the gateway itself takes and gives at four streams, by curl; and with
        what it gives written to synced files, as a restore must."""
        client = self.client()
        source, to = os.path.join(directory, "random"), os.path.join(directory, "got")
        os.makedirs(to, exist_ok=True)
        with open(source, "wb") as out:
            out.write(os.urandom(OBJECT))
        names = [[f"rate/{stream}-{each}" for each in range(OBJECTS_A_STREAM)]
                 for stream in range(STREAMS)]

        def urls(action):
            return [[client.generate_presigned_url(action, {"Bucket": bucket, "Key": name},
                                                   ExpiresIn=3600) for name in row] for row in names]
        put = self._stream([[part for url in row for part in ("-T", source, url)]
                            for row in urls("put_object")])
        get = self._stream([[part for url in row for part in ("-o", "/dev/null", url)]
                            for row in urls("get_object")])
        kept = self._stream([[part for i, url in enumerate(row)
                              for part in ("-o", os.path.join(to, f"{number}-{i}"), url)]
                             for number, row in enumerate(urls("get_object"))], sync=to)
        self.empty_bucket(bucket)
        os.unlink(source)
        shutil.rmtree(to)
        return {"put": put, "get": get, "get into files": kept}

    def _stream(self, rows, sync=None):
        trust = ["--cacert", self.ca_file] if self.tls else []
        started = time.monotonic()
        running = [subprocess.Popen(["curl", "-sS", "--fail", "--noproxy", "*", *trust, *row],
                                    stdout=subprocess.DEVNULL) for row in rows]
        if any([process.wait() for process in running]):
            raise RuntimeError("curl failed")
        if sync:
            subprocess.run(["sync", "-f", sync], check=True)
        return STREAMS * OBJECTS_A_STREAM * OBJECT / (time.monotonic() - started)


class LateRelay(Relay):
    """Another way to the gateway, on which every byte is late by `delay` seconds in each direction.
    (tc netem would do it below TCP, where the kernel has it.)"""

    delay = 0.0

    def pieces(self, source, is_up):
        late = queue.Queue(maxsize=1024)
        threading.Thread(target=self._take, args=(source, late, is_up), daemon=True).start()
        while True:
            due, data = late.get()
            if not data:
                return
            time.sleep(max(0, due - time.monotonic()))
            yield data

    def _take(self, source, late, is_up):
        with contextlib.suppress(OSError):
            for data in super().pieces(source, is_up):
                late.put((time.monotonic() + self.delay, data))
        late.put((0, b""))
