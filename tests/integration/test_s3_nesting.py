"""`init` in a bucket where other repositories are: none inside of another one, but beside it."""
import pytest

import s3server

pytestmark = pytest.mark.once


@pytest.fixture
def at(ws, gateway):
    """Makes a configuration whose repository is at a prefix of the bucket."""
    bucket = gateway.bucket()
    made = []

    def make(prefix):
        name = f"bs{len(made)}"
        more = f", prefix: {prefix}" if prefix else ""
        made.append(prefix)
        return ws.backstay(name=name, text=s3server.config_for(bucket, ws.path, name, more=more))

    make.bucket = bucket
    return make


def refused(backstay, bucket, pattern):
    before = bucket.keys()
    backstay.fails(1, pattern, "init")
    assert bucket.keys() == before and not backstay.key_file.exists()


def test_inside_and_around_a_repository(at):
    """However deep inside; around it down to four levels."""
    middle = at("one/two")
    middle.run("init")
    bucket = at.bucket
    for prefix in ("one/two/three", "one/two/three/four/five/six", "one/two/orders"):
        refused(at(prefix), bucket, f'"s3://{bucket.name}/{prefix}" is inside the repository in '
                                    f'"s3://{bucket.name}/one/two": choose a location outside')
    for prefix in ("one", ""):
        refused(at(prefix), bucket, f'contains another repository, "s3://{bucket.name}/one/two": choose another')
    for prefix in ("one/three", "one/two-more", "one/tw", "other/two"):
        at(prefix).run("init")
    middle.run("init")  # one that is there stays what it is


def test_inside_the_repository_of_a_whole_bucket(at):
    at("").run("init")
    refused(at("deep/inside"), at.bucket, f'is inside the repository in "s3://{at.bucket.name}"')


def test_other_objects_do_not_matter(at):
    """Nor do many of them hide a repository that comes first, or cost more than a few requests."""
    for number in range(20):
        at.bucket.put(f"top/data{number:02}/a/b", b"x")
    at("top").run("init")
    at.bucket.put("far/a/b/c/d/e/backstay.json", b"x")  # beyond what is looked at
    at("far").run("init")
