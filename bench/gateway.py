"""A real S3 server for the bench: started by tests/s3-server, asked by curl and boto3, its requests
counted in its own log; and a network namespace to have it far away."""
import os
import subprocess
import time

import boto3
import botocore.config

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
SCRIPT = os.path.join(TOP, "tests", "s3-server")
KEY, SECRET = "testaccesskey", "testsecretkey0123456789"
STREAMS = 4
OBJECT = 32 << 20
OBJECTS_A_STREAM = 4
FAR = "bkbench"  # the namespace
NEAR_ADDRESS, FAR_ADDRESS = "10.213.77.1", "10.213.77.2"


class Gateway:
    def __init__(self, home, port, tls=True, script=SCRIPT, far=False):
        self.home = home
        self.port = port
        self.tls = tls
        self.host = FAR_ADDRESS if far else "localhost"
        self.url = f"{'https' if tls else 'http'}://{self.host}:{port}"
        self.ca_file = os.path.join(home, "tls", "ca.pem") if tls else None
        self._script = script
        self._enter = ["ip", "netns", "exec", FAR] if far else []
        self._far = far

    def start(self):
        settings = "debug_rgw = 1\n"
        if self._far:
            settings += f"rgw_frontends = beast endpoint=0.0.0.0:{self.port} tcp_nodelay=1\n"
        env = dict(os.environ, S3_SETTINGS=settings)
        if self.tls:
            env["S3_TLS"] = "1"
        done = subprocess.run([*self._enter, self._script, "start", self.home, str(self.port)], env=env,
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

    def rates(self, bucket, folder):
        """Bytes a second that the gateway itself takes and gives at four streams, by curl."""
        client = self.client()
        source = os.path.join(folder, "random")
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
        self.empty_bucket(bucket)
        os.unlink(source)
        return {"put": put, "get": get}

    def _stream(self, rows):
        trust = ["--cacert", self.ca_file] if self.tls else []
        started = time.monotonic()
        running = [subprocess.Popen(["curl", "-sS", "--fail", "--noproxy", "*", *trust, *row],
                                    stdout=subprocess.DEVNULL) for row in rows]
        if any([process.wait() for process in running]):
            raise RuntimeError("curl failed")
        return STREAMS * OBJECTS_A_STREAM * OBJECT / (time.monotonic() - started)


def make_far(delay_ms):
    """The namespace, and a way to it on which every packet waits `delay_ms`. Needs root."""
    remove_far()
    for line in (f"ip netns add {FAR}",
                 f"ip link add bkbench0 type veth peer name bkbench1 netns {FAR}",
                 f"ip addr add {NEAR_ADDRESS}/30 dev bkbench0", "ip link set bkbench0 up",
                 f"ip -n {FAR} addr add {FAR_ADDRESS}/30 dev bkbench1",
                 f"ip -n {FAR} link set bkbench1 up", f"ip -n {FAR} link set lo up"):
        subprocess.run(line.split(), check=True)
    set_delay(delay_ms)


def set_delay(delay_ms):
    """Of the way there; the way back has none, so that it is the round trip's too."""
    subprocess.run(["tc", "qdisc", "del", "dev", "bkbench0", "root"], check=False,
                   capture_output=True)
    if delay_ms:
        subprocess.run(f"tc qdisc add dev bkbench0 root netem delay {delay_ms}ms limit 100000".split(),
                       check=True)


def remove_far():
    subprocess.run(["ip", "link", "del", "bkbench0"], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "del", FAR], check=False, capture_output=True)
