"""Help, reference and README tell the truth about the binary."""
import re
import shlex
import subprocess
import sys

import pytest

import place

pytestmark = [pytest.mark.once, pytest.mark.quick]
COMMANDS = ["init", "backup", "restore", "list", "status", "events", "copy", "line list",
            "line dead", "line current", "line forget", "inspect", "repo list", "repo check",
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


@pytest.mark.parametrize("page", ["README.md", "docs/recover-now.md", "docs/guide-restore.md",
                                  "docs/guide-events.md", "docs/guide-offsite.md",
                                  "docs/guide-upgrade.md"])
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


PAGES = sorted(path.relative_to(place.ROOT).as_posix() for path in
               [*place.ROOT.glob("*.md"), *place.ROOT.glob("docs/**/*.md")])
PROSE = [page for page in PAGES if page != "CHANGELOG.md"]
SOURCES = {path.relative_to(place.ROOT / "src").as_posix()
           for path in (place.ROOT / "src").rglob("*") if path.is_file()}


def read(page):
    return (place.ROOT / page).read_text(encoding="utf-8")


def without_blocks(text):
    return re.sub(r"```.*?```", "", text, flags=re.S)


def anchors(page):
    """The fragments that a heading of the page can be linked by, made as GitHub makes them."""
    for heading in re.findall(r"^#+ (.*)$", without_blocks(read(page)), re.M):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        yield re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    """Links in documents and their fragments; those to other sites are not asked."""
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(read(page))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (place.ROOT / page).parent / name if name else place.ROOT / page
        assert target.exists(), f"{page} links to {link}"
        if fragment:
            assert fragment in anchors(target.resolve().relative_to(place.ROOT)), f"{page}: {link}"


@pytest.mark.parametrize("page", PROSE)
def test_every_source_that_a_page_names_exists(page):
    """`src/…`, and the short forms below src/ with a directory, or in a table the bare name."""
    text = read(page)
    names = {path.rsplit("/", 1)[-1] for path in SOURCES} | {"object.c"}  # an example of a name
    for path in re.findall(r"\bsrc/[\w./-]*\w", text):
        assert "NAME" in path or (place.ROOT / path).exists(), f"{page} names {path}"
    for path in re.findall(r"(?<![\w/.])((?:[a-z0-9-]+/)*[a-z0-9-]+\.[ch])\b", text):
        if not path.startswith(("src/", "tests/", "unit/", "contract/", "fuzz/")) and "test-" not in path:
            known = path in SOURCES if "/" in path else path in names
            assert known, f"{page} names {path}"


def test_every_test_that_the_promises_name_exists():
    text = read("docs/promises.md")
    named = set(re.findall(r"\b(test_\w+\.py)\b", text))
    assert len(named) > 20
    for name in named:
        assert (place.ROOT / "tests" / "integration" / name).exists(), name
    for name in set(re.findall(r"\b(?:unit/|contract/|fuzz/)[\w-]+\.[ch]\b", text)):
        assert (place.ROOT / "tests" / name).exists(), name
    functions = {name for path in (place.ROOT / "tests" / "integration").glob("*.py")
                 for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M)}
    for name, rest in set(re.findall(r"\b(test_\w+)(\.py|…)?", text)):
        if rest != ".py":
            assert any(function == name or rest and function.startswith(name)
                       for function in functions), name


def test_a_refused_restore_names_the_page_that_helps(program):
    """One line after the error, with a path that leads to it: installed, or in the source tree."""
    program.run("init")
    result = program.attempt("restore", "orders", "--to", program.home / "nowhere")
    assert result.status == 3, result
    error, line = result.stderr.splitlines()[-2:]
    assert "help:" not in error
    page = re.fullmatch(r"backstay: help: .* (\S*recover-now\.md)", line)[1]
    assert (place.ROOT / page).exists(), page
    assert "help:" not in program.attempt("restore", "orders").stderr
    assert "help:" not in program.attempt("list", "nothing").stderr


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
