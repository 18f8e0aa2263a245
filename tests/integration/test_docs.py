"""Help, reference and README tell the truth about the binary."""
import re
import shlex
import subprocess
import sys

import pytest

import place

pytestmark = pytest.mark.once
COMMANDS = ["init", "backup", "restore", "list", "status", "wal push", "wal fetch"]


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


def test_readme_uses_commands_and_options_that_exist(program):
    """A person can follow the README: each command and option in it is in the help."""
    text = (place.ROOT / "README.md").read_text(encoding="utf-8")
    calls = list(backstay_calls(text))
    assert len(calls) >= 4
    for line, words in calls:
        while words and words[0].startswith("-"):
            words = words[2:] if words[0] in ("-c", "--config") else words[1:]
        if not words:
            continue
        command = " ".join(words[:2]) if words[0] == "wal" else words[0]
        assert command in COMMANDS, line
        known = help_of(program, command)
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in known, f"{word} of: {line}"


def test_generated_files_are_current():
    """Each fact once: what is generated from meta/ and kept in the tree is what it would be."""
    tool = place.ROOT / "tools" / "gen"
    script = next((path for path in (tool / "check", tool / "gen.py", tool) if path.is_file()), None)
    assert script is not None, "tools/gen is missing"
    argv = [script] if script.name == "check" else [sys.executable, script, "--check"]
    result = subprocess.run(argv, cwd=place.ROOT, text=True, capture_output=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
