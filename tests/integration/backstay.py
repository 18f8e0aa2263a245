"""The program under test, called as a person or PostgreSQL would call it."""
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import place

CONFIG = """\
repositories:
  local: {{ path: {repository}, key_file: {key_file} }}
sources:
  orders:
    postgres:
      connection: "{connection}"
      data: {data}
    to: [local]
    workers: 2
"""


class Result:
    def __init__(self, argv, status, stdout, stderr):
        self.argv, self.status, self.stdout, self.stderr = argv, status, stdout, stderr

    def __repr__(self):
        return (f"{' '.join(map(str, self.argv))}\nexit status {self.status}\n"
                f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}")

    def json(self):
        return json.loads(self.stdout)

    def error_lines(self):
        """All but warnings, of commands and of the log, and the page that a refused restore names."""
        return [line for line in self.stderr.splitlines()
                if not re.match(r"(backstay:|[0-9-]+T[0-9:]+Z) (warning|help): ", line)]


class Problem(str):
    """The text of a problem, and what to do, with its other fields as attributes."""

    def __new__(cls, fields):
        self = super().__new__(cls, f"{fields['text']}: {fields['action']}")
        self.code, self.severity = fields["code"], fields["severity"]
        self.object, self.text, self.action = fields["object"], fields["text"], fields["action"]
        return self


def read_problems(report):
    """Those that need nobody's attention are moved to "notes"."""
    problems = [Problem(fields) for fields in report["problems"]]
    report["notes"] = [each for each in problems if each.severity == "info"]
    report["problems"] = [each for each in problems if each.severity != "info"]
    return report


class Backstay:
    """One configuration file with a repository and the source `orders`."""

    def __init__(self, binary, home, server=None, text=None, name="bs"):
        self.binary = Path(binary)
        self.home = Path(home)
        self.name = name
        self.repository = self.home / f"{name}.repo"
        self.key_file = self.home / f"{name}.key"
        self.config = self.home / f"{name}.yaml"
        self.state_dir = self.home / ".local" / "state" / "backstay"
        self.server = server
        self.extra_env = {}
        self.write_config(text or self.default_config())

    def default_config(self):
        return CONFIG.format(
            repository=self.repository, key_file=self.key_file,
            connection=self.server.conninfo() if self.server else "host=/nowhere user=postgres",
            data=self.server.data if self.server else "/nowhere")

    def write_config(self, text, mode=0o600):
        """With a state directory of the test's own, also where the machine has one for everybody."""
        own = f"state_dir: {self.state_dir}\n"
        text = text.replace(own, "")
        if "\nsources:\n" in text and "state_dir:" not in text:
            text = own + text
        self.config.write_text(text, encoding="utf-8")
        self.config.chmod(mode)
        place.give_to_owner(self.config)

    def edit_config(self, old, new):
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.write_config(text.replace(old, new))

    def archive_command(self, source="orders"):
        return f"{self.binary} -c {self.config} wal push {source} %p"

    def argv(self, args):
        return [self.binary, "-c", self.config, *args]

    def start(self, *args, env=None, binary=None):
        """A running command; its process id is the program's own."""
        argv = [binary or self.binary, *self.argv(args)[1:]]
        return subprocess.Popen(
            place.as_owner(argv), cwd="/", text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=place.environment(self.home, {**self.extra_env, **(env or {})}))

    def finish(self, process, args=(), timeout=300):
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            raise AssertionError(f"{args} hangs:\n{stdout}{stderr}") from None
        return Result(self.argv(args), process.returncode, stdout, stderr)

    def attempt(self, *args, env=None, binary=None, timeout=300):
        """Runs to its end, whatever that is."""
        return self.finish(self.start(*args, env=env, binary=binary), args, timeout)

    def run(self, *args, env=None):
        """Runs and must succeed."""
        result = self.attempt(*args, env=env)
        assert result.status == 0, result
        return result

    def json(self, *args, env=None):
        return self.run(*args, "--json", env=env).json()

    def fails(self, status, pattern, *args, env=None):
        """Must end with `status` and say why in exactly one line, which fits `pattern`."""
        result = self.attempt("-q", *args, env=env)
        assert result.status == status, result
        self.assert_one_line(result, pattern)
        return result

    @staticmethod
    def assert_one_line(result, pattern):
        lines = result.error_lines()
        assert len(lines) == 1 and lines[0].startswith("backstay: "), result
        assert re.search(pattern, lines[0]), f"no {pattern!r} in the message\n{result}"

    # --- what tests do all the time ---------------------------------------------------------

    def backup(self, *args):
        return self.json("backup", "orders", *args)

    def restore(self, to, *args, env=None):
        """Restores and returns the JSON report; the path may be given again in `--tablespace`."""
        return self.json("restore", "orders", "--to", to, *args, env=env)

    def snapshots(self, source="orders"):
        listing = self.json("list", source)
        return listing["sources"][0]["snapshots"] if listing["sources"] else []

    def complete(self):
        return [row["snapshot"] for row in self.snapshots() if row["state"] == "complete"]

    def status(self, source="orders"):
        """The status report; exit status 0 and 1 both are answers, and must agree with it."""
        result = self.attempt("status", source, "--json")
        assert result.status in (0, 1), result
        report = read_problems(result.json()["sources"][0])
        assert report["ok"] == (result.status == 0), result
        assert report["ok"] == (not report["problems"]), result
        return report

    def next_backup(self, *args):
        """A backup after a holder died: its lease is either recognised as dead or broken."""
        result = self.attempt("backup", "orders", *args, "--json")
        if result.status == 4:
            result = self.attempt("backup", "orders", *args, "--break-lease", "--json")
        assert result.status == 0, result
        return result.json()

    def forget_marks(self):
        """What the host remembers of its repositories goes, as on a new machine."""
        shutil.rmtree(self.state_dir)

    # --- the repository's objects -------------------------------------------------------------

    def objects(self, directory):
        """Every object below a directory of the repository, oldest name first."""
        top = self.repository / directory
        return sorted(path for path in top.rglob("*") if path.is_file())

    def object_name(self, path):
        return str(Path(path).relative_to(self.repository))


def interrupt(process, number=signal.SIGKILL):
    if process.poll() is None:
        os.kill(process.pid, number)


def verify_backup(home, directory):
    """pg_verifybackup on a restored directory that was not started yet. Its WAL comes from the
    archive, so there is none to parse."""
    place.run_as_owner([place.PG_BIN / "pg_verifybackup", "--no-parse-wal", directory], home)
