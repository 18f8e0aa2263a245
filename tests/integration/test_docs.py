"""Help, reference and README tell the truth about the binary."""
import re
import shlex
import subprocess
import sys

import pytest

import place

pytestmark = pytest.mark.once
COMMANDS = ["init", "backup", "restore", "list", "status", "events", "copy", "line list",
            "line dead", "line current", "line forget", "repo list", "repo check",
            "wal push", "wal fetch"]


@pytest.fixture(scope="module")
def program(shared):
    return shared.backstay()


def help_of(program, command):
    return program.run(*command.split(), "--help").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_that_is_enough(program, command):
    text = help_of(program, command)
    assert command in text and "--help" in text and len(text.splitlines()) > 5


def test_the_help_names_every_command(program):
    text = program.run("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", text), command
    assert re.fullmatch(r"backstay \d+\.\d+\S*\n?.*", program.run("--version").stdout, re.S)


def shell_lines(text):
    """Commands in the README's fenced shell blocks, continuation lines joined."""
    for block in re.findall(r"```(?:sh|shell|bash|console)\n(.*?)```", text, re.S):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.strip().removeprefix("$ ")


def backstay_calls(text):
    for line in shell_lines(text):
        match = re.search(r"(?:^|[\s'\"/=])backstay\s+(.*)", line)
        if not match or line.startswith("#") or "apt-get" in line:
            continue
        try:
            words = shlex.split(match.group(1).split("#")[0])
        except ValueError:
            words = match.group(1).rstrip("'\"").split()
        yield line, words


@pytest.mark.parametrize("page", ["README.md", "docs/guide-offsite.md", "docs/guide-upgrade.md"])
def test_pages_use_commands_and_options_that_exist(program, page):
    """A person can follow them: each command and option in them is in the help."""
    text = (place.ROOT / page).read_text(encoding="utf-8")
    calls = list(backstay_calls(text))
    assert len(calls) >= 2
    for line, words in calls:
        while words and words[0].startswith("-"):
            words = words[2:] if words[0] in ("-c", "--config") else words[1:]
        if not words:
            continue
        command = " ".join(words[:2]) if words[0] in ("wal", "repo", "line") else words[0]
        assert command in COMMANDS, line
        known = help_of(program, command)
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in known, f"{word} of: {line}"


def generate(*args):
    return subprocess.run([sys.executable, place.ROOT / "tools" / "gen", *args], cwd=place.ROOT,
                          text=True, capture_output=True, check=False)


def test_the_reference_is_current():
    """Each fact once: docs/reference is what meta/ says."""
    result = generate("check", "meta/options.yaml", "meta/errors.yaml", "docs/reference")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_manual_and_completion_name_the_same_options(program, shared, command):
    directory = shared.directory("man-" + command.replace(" ", "-"))
    assert generate("man", "meta/options.yaml", "0", directory).returncode == 0
    assert generate("completion", "meta/options.yaml", directory / "completion").returncode == 0
    page = directory / f"backstay-{command.replace(' ', '-')}.1"
    manual = page.read_text(encoding="utf-8").replace("\\-", "-")
    completion = (directory / "completion").read_text(encoding="utf-8")
    options = set(re.findall(r"--[a-z][a-z-]+", help_of(program, command)))
    assert options
    for option in options:
        assert option in manual or option in ("--help", "--version"), option
        assert option in completion, option
