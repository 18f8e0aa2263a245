"""What the owner of a bucket has it do to objects by age, on a real S3 server whose days are seconds."""
import json
import re

import pytest

import compare
import place
import s3server
from backstay import verify_backup
from pgserver import wait_for

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def gateway():
    server = s3server.S3Server(settings="rgw_lc_debug_interval = 1\nrgw_lifecycle_work_time = 00:00-23:59")
    yield server
    server.stop()


def set_rules(bucket, *rules):
    bucket.client.put_bucket_lifecycle_configuration(
        Bucket=bucket.name, LifecycleConfiguration={"Rules": [
            {"ID": str(number), "Status": "Enabled", "Filter": {"Prefix": ""}, **rule}
            for number, rule in enumerate(rules)]})


def apply_rules(bucket, until):
    """Has the gateway go through the bucket until that is so."""
    def is_so():
        bucket.server.admin("lc", "process", "--bucket", bucket.name)
        return until()
    wait_for("the effect of the rules", is_so)


def packs(bucket):
    return bucket.keys("orders/packs/")


def put_half(bucket, key="orders/packs/ab/half"):
    """What a backup leaves that was killed while it put an object in parts."""
    upload = bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)["UploadId"]
    bucket.client.upload_part(Bucket=bucket.name, Key=key, UploadId=upload, PartNumber=1, Body=b"x")


def uploads(bucket):
    return bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])


def test_the_rule_of_the_guide(ws, gateway):
    """It is taken as it stands, clears away what was begun and never ended, and nothing else."""
    guide = (place.ROOT / "docs" / "guide-buckets.md").read_text(encoding="utf-8")
    rules = json.loads(re.search(r"```json\n(.*?)```", guide, re.S).group(1))
    bucket = gateway.bucket(versions=True)
    server, backstay = ws.bucket_pair(bucket)
    backstay.backup()
    put_half(bucket)
    bucket.client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration=rules)
    before = set(bucket.versions())
    assert uploads(bucket)
    apply_rules(bucket, lambda: not uploads(bucket))
    assert before <= set(bucket.versions())
    server.settle()
    snapshot = backstay.backup()
    backstay.restore(ws.path / "back", "--at", snapshot["snapshot"])
    server.script("CHECKPOINT")
    compare.assert_equal(server.data, ws.path / "back")


def test_packs_move_to_another_class(ws, gateway):
    bucket = gateway.bucket()
    server, backstay = ws.bucket_pair(bucket)
    first = backstay.backup()
    set_rules(bucket, {"Filter": {"Prefix": "orders/packs/"},
                       "Transitions": [{"Days": 1, "StorageClass": "STANDARD_IA"}]})
    apply_rules(bucket, lambda: all(bucket.head(key).get("StorageClass") == "STANDARD_IA"
                                    for key in packs(bucket)))
    second = backstay.backup()
    server.archive_all()
    assert backstay.complete() == [first["snapshot"], second["snapshot"]]
    assert backstay.status()["ok"]
    backstay.restore(ws.path / "back")
    verify_backup(ws.path, ws.path / "back")


def test_packs_expire(ws, gateway):
    """A rule that nobody should have made: what is gone is told of in one line, and the next backup
    reads it anew."""
    bucket = gateway.bucket()
    server, backstay = ws.bucket_pair(bucket)
    server.make_markers()
    first = backstay.backup()
    server.archive_all()
    gone = packs(bucket)
    set_rules(bucket, {"Filter": {"Prefix": "orders/packs/"}, "Expiration": {"Days": 1}})
    apply_rules(bucket, lambda: not packs(bucket))
    bucket.client.delete_bucket_lifecycle(Bucket=bucket.name)
    backstay.fails(1, "object \"orders/packs/.*missing", "restore", "orders", "--to", ws.path / "none")
    check = backstay.attempt("repo", "check", "offsite")
    assert check.status == 1 and all(name in check.stdout + check.stderr for name in gone[:1]), check
    server.mark("after")
    server.settle()
    second = backstay.backup()
    assert second["snapshot"] != first["snapshot"]
    backstay.restore(ws.path / "back", "--at", second["snapshot"])
    server.script("CHECKPOINT")
    compare.assert_equal(server.data, ws.path / "back")


def test_earlier_versions_expire(ws, gateway):
    """As the guide says: in a bucket with versions and without locks a rule about earlier versions is
    the end of what somebody has overwritten. Until then the first version counts."""
    bucket = gateway.bucket(versions=True)
    server, backstay = ws.bucket_pair(bucket)
    snapshot = backstay.backup()
    server.archive_all()
    for key in packs(bucket):
        bucket.put(key, b"rubbish")
    backstay.restore(ws.path / "in-time", "--at", snapshot["snapshot"])
    verify_backup(ws.path, ws.path / "in-time")
    set_rules(bucket, {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
    apply_rules(bucket, lambda: len(bucket.versions("orders/packs/")) == len(packs(bucket)))
    bucket.client.delete_bucket_lifecycle(Bucket=bucket.name)
    backstay.fails(1, "object \"orders/packs/", "restore", "orders", "--to", ws.path / "none")
    server.settle()
    healed = backstay.backup("--full")
    backstay.restore(ws.path / "back", "--at", healed["snapshot"])
    server.script("CHECKPOINT")
    compare.assert_equal(server.data, ws.path / "back")


def test_locks_are_stronger_than_rules(ws, gateway):
    """In a locked bucket neither kind of expiry has an effect before the lock ends."""
    bucket = gateway.bucket(lock=True)
    server, backstay = ws.bucket_pair(bucket, more=", lock: { mode: compliance, period: 2h }")
    snapshot = backstay.backup()
    server.archive_all()
    before = set(bucket.versions("orders/packs/"))
    put_half(bucket)
    for key in packs(bucket):
        bucket.put(key, b"rubbish")
    set_rules(bucket, {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}, "Expiration": {"Days": 1},
                       "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
    # The half of an upload shows when the rules have been applied.
    apply_rules(bucket, lambda: not uploads(bucket))
    assert before <= set(bucket.versions("orders/packs/"))
    backstay.restore(ws.path / "back", "--at", snapshot["snapshot"])
    verify_backup(ws.path, ws.path / "back")
