"""errors - error-codes.h and error-table.h from meta/errors.yaml."""

import re

import yaml

FIELDS = {"code", "number", "exit", "retry", "meaning", "hint", "action"}
OPTIONAL = {"hint", "action"}


def load(path):
    with open(path, encoding="utf-8") as file:
        errors = yaml.safe_load(file)
    for i, error in enumerate(errors):
        name = error.get("code")
        if not FIELDS - OPTIONAL <= set(error) <= FIELDS:
            raise SystemExit(f"{path}: {name}: fields must be {sorted(FIELDS)}")
        if not set(error) & OPTIONAL:
            raise SystemExit(f"{path}: {name}: what to do is missing (hint or action)")
        if not re.fullmatch(r"[A-Z][A-Z_]*", name):
            raise SystemExit(f"{path}: {name}: not the name of a code")
        if error["retry"] not in ("never", "later", "now"):
            raise SystemExit(f"{path}: {name}: retry is never, later or now")
    for field in ("code", "number"):
        if len({error[field] for error in errors}) != len(errors):
            raise SystemExit(f"{path}: a {field} is used twice")
    return errors


def c_string(text):
    if text is None:
        return "NULL"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def make(source, codes_path, table_path):
    errors = load(source)
    with open(codes_path, "w", encoding="utf-8") as out:
        out.write("/* error-codes.h - every error code; made from meta/errors.yaml. */\n")
        out.write("#pragma once\n\ntypedef enum BkErrorCode {\n")
        for error in errors:
            out.write(f"    BK_ERROR_{error['code']} = {error['number']}, /* {error['meaning']} */\n")
        out.write("} BkErrorCode;\n")
    with open(table_path, "w", encoding="utf-8") as out:
        out.write("/* error-table.h - facts about the error codes; made from meta/errors.yaml. */\n")
        out.write('#pragma once\n#include "error-codes.h"\n\n#include <stddef.h>\n\n')
        out.write("typedef struct BkErrorInfo {\n    BkErrorCode code;\n    int exit_status;\n")
        out.write("    const char *hint; /* NULL if the message needs none */\n")
        out.write("    const char *meaning;\n} BkErrorInfo;\n\n")
        out.write("static const BkErrorInfo bk_error_table[] = {\n")
        for error in errors:
            out.write(f"    {{BK_ERROR_{error['code']}, {error['exit']}, "
                      f"{c_string(error.get('hint'))}, {c_string(error['meaning'])}}},\n")
        out.write("};\n")
