"""problems - problem-codes.h, problem-table.h and the page about problems from meta/problems.yaml."""

import re

import yaml

from errors import c_string

SEVERITIES = ("critical", "warning", "info")
FIELDS = {"code", "severity", "object", "name", "sentence", "action", "guide"}
# Types of values: the C type, and the macro of report/field.h.
TYPES = {"text": ("const char *", "BK_TEXT"), "count": ("uint64_t ", "BK_COUNT"),
         "id": ("uint64_t ", "BK_ID"), "bytes": ("uint64_t ", "BK_BYTES"),
         "duration": ("int64_t ", "BK_DURATION"), "flag": ("bool ", "BK_FLAG")}
MENTION = re.compile(r"\{([a-z_]+)([:?][^}]*)?\}")


def mentioned(problem):
    return [match[1] for field in ("name", "sentence", "action")
            for match in MENTION.finditer(problem[field])]


def load(path):
    with open(path, encoding="utf-8") as file:
        facts = yaml.safe_load(file)
    values, problems = facts["values"], facts["problems"]
    used = set()
    for problem in problems:
        code = problem.get("code")
        if set(problem) != FIELDS:
            raise SystemExit(f"{path}: {code}: fields must be {sorted(FIELDS)}")
        if not re.fullmatch(r"[a-z][a-z_]*", code):
            raise SystemExit(f"{path}: {code}: not the name of a code")
        if problem["severity"] not in SEVERITIES:
            raise SystemExit(f"{path}: {code}: severity is one of {', '.join(SEVERITIES)}")
        unknown = set(mentioned(problem)) - set(values)
        if unknown:
            raise SystemExit(f"{path}: {code}: mentions {sorted(unknown)}, which is no value")
        used |= set(mentioned(problem))
    if len({problem["code"] for problem in problems}) != len(problems):
        raise SystemExit(f"{path}: a code is there twice")
    if used != set(values):
        raise SystemExit(f"{path}: no problem mentions {sorted(set(values) - used)}")
    return values, problems


def make(source, codes_path, table_path):
    values, problems = load(source)
    with open(codes_path, "w", encoding="utf-8") as out:
        out.write("/* problem-codes.h - every problem that can be found, and what its sentence can "
                  "mention; made\n * from meta/problems.yaml. */\n#pragma once\n"
                  "#include <stdbool.h>\n#include <stdint.h>\n\ntypedef enum BkProblemCode {\n")
        for problem in problems:
            out.write(f"    BK_PROBLEM_{problem['code'].upper()},\n")
        out.write("} BkProblemCode;\n\ntypedef struct BkProblemValues {\n")
        for name, kind in values.items():
            out.write(f"    {TYPES[kind][0]}{name};\n")
        out.write("} BkProblemValues;\n")
    with open(table_path, "w", encoding="utf-8") as out:
        out.write("/* problem-table.h - facts about the problems; made from meta/problems.yaml. */\n"
                  "#pragma once\n\nstatic const BkField value_fields[] = {\n")
        for name, kind in values.items():
            out.write(f'    {TYPES[kind][1]}(BkProblemValues, {name}, "{name}"),\n')
        out.write("    BK_FIELD_END,\n};\n\nstatic const ProblemInfo infos[] = {\n")
        for problem in problems:
            texts = ", ".join(c_string(problem[field])
                              for field in ("code", "object", "name", "sentence", "action"))
            out.write(f"    [BK_PROBLEM_{problem['code'].upper()}] = "
                      f"{{BK_SEVERITY_{problem['severity'].upper()}, {texts}}},\n")
        out.write("};\n")


def readable(template):
    """A sentence as a reader recognises it: "…" for what differs each time."""
    template = re.sub(r"\[ \(\{[a-z_]+\?[^}]*\}\)\]", "", template)
    template = re.sub(r"\{[a-z_]+:([^}]*)\}", r"… \1s", template)
    return re.sub(r"\{[a-z_]+\}", "…", template).replace("][", " or ").translate(
        {ord("["): None, ord("]"): None})


def command_words(template):
    return template.replace("{source}", "SOURCE").replace("{timeline}", "N")


def page(path, note, errors):
    _, problems = load(path)
    out = ["# Problems, and what to do\n\n", note,
           "What `status`, `repo check` and the other commands find is a problem with a code that "
           "never changes: `--json` has it as `code`, with `severity`, `object`, `text` and "
           "`action`. Critical: something cannot be restored, or soon will not be. Warning: see to "
           "it in office hours. Info: nothing to do. `status` and `repo check` exit with status 1 "
           "for all but info.\n"]
    for severity in SEVERITIES:
        out.append(f"\n## {severity.capitalize()}\n\n| message | what to do | code, object |\n"
                   "|---|---|---|\n")
        out += [f"| {readable(problem['sentence'])} "
                f"| {command_words(problem['action'])} ([more](../{problem['guide']})) "
                f"| `{problem['code']}`, {problem['object']} |\n"
                for problem in problems if problem["severity"] == severity]
    out.append("\n## When a command is refused\n\nThe last line on standard error says why. By what "
               "kind of error it is:\n\n| error | exit status | what to do |\n|---|---|---|\n")
    out += [f"| {error['meaning']} | {error['exit']} | {error.get('action', error.get('hint'))} |\n"
            for error in errors]
    return "".join(out)
