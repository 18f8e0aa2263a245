"""Problems have a code that is used, a page that is fresh, and fields that a program can act on."""
import re

import pytest
import yaml

import place

PROBLEMS = yaml.safe_load((place.ROOT / "meta/problems.yaml").read_text(encoding="utf-8"))["problems"]


@pytest.mark.once
def test_every_code_is_used_and_every_use_is_a_code():
    used = set()
    for path in (place.ROOT / "src").rglob("*.c"):
        used |= set(re.findall(r"\bBK_PROBLEM_([A-Z_]+)\b", path.read_text(encoding="utf-8")))
    assert {name.lower() for name in used} == {problem["code"] for problem in PROBLEMS}


@pytest.mark.once
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem["code"])
def test_a_problem_leads_on(problem):
    """Its section of the guide exists, and its sentence ends without a full stop."""
    page, _, section = problem["guide"].partition("#")
    text = (place.ROOT / "docs" / page).read_text(encoding="utf-8")
    titles = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
              for title in re.findall(r"^#+ (.*)$", text, re.M)}
    assert not section or section in titles, problem["guide"]
    assert not problem["sentence"].endswith(".") and not problem["action"].endswith(".")


def test_status_says_what_to_do(shared):
    backstay = shared.backstay()
    backstay.run("init")
    result = backstay.attempt("status", "orders", "--json")
    assert result.status == 1, result
    report = result.json()["sources"][0]
    problem = next(each for each in report["problems"] if each["code"] == "no_snapshot")
    assert problem == {"code": "no_snapshot", "severity": "critical",
                       "object": {"kind": "source", "name": "orders"},
                       "text": "there is no snapshot yet",
                       "action": "run \"backstay backup orders\""}
    text = backstay.attempt("status", "orders").stdout
    assert re.search(r"critical +there is no snapshot yet\n +to do: run \"backstay backup", text), text
