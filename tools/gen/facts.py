"""facts - meta/options.yaml, read and checked."""

import re

import yaml

OPTION_TYPES = {"flag", "count", "string", "path", "int", "size", "choice", "list"}
KEY_TYPES = {"map", "name-list", "path-list", "text-list", "path", "string", "int", "duration", "size", "choice", "cron",
             "connection", "bool", "texts", "unavailable"}
OPTION_FIELDS = {"name", "letter", "type", "value", "min", "max", "choices", "default", "required",
                 "hidden", "conflicts", "help", "more"}
KEY_FIELDS = {"key", "type", "required", "min", "max", "choices", "default", "help", "more"}
ARGUMENT_FIELDS = {"name", "value", "optional", "help"}


def fail(what):
    raise SystemExit(f"meta/options.yaml: {what}")


def check_fields(what, entry, allowed):
    unknown = set(entry) - allowed
    if unknown:
        fail(f"{what}: unknown fields {sorted(unknown)}")
    if not entry.get("help") or "\n" in entry["help"]:
        fail(f"{what}: needs a help of one line")


def check_option(where, option):
    what = f"{where} --{option.get('name')}"
    check_fields(what, option, OPTION_FIELDS)
    kind = option.get("type")
    if kind not in OPTION_TYPES:
        fail(f"{what}: no such type: {kind}")
    if (kind in ("flag", "count")) == ("value" in option):
        fail(f"{what}: a value is for options that take one")
    if kind == "choice" and not option.get("choices"):
        fail(f"{what}: has no choices")
    if kind == "int" and not ("min" in option and "max" in option):
        fail(f"{what}: needs min and max")


def check_names(where, entries, field="name"):
    names = [entry[field] for entry in entries]
    for name in names:
        if names.count(name) > 1:
            fail(f"{where}: {name} is there twice")


def check_command(command, global_names):
    name = command["name"]
    if not re.fullmatch(r"[a-z]+( [a-z]+)?", name):
        fail(f"{name}: not the name of a command")
    for option in command["options"]:
        check_option(name, option)
        if option["name"] in global_names:
            fail(f"{name}: --{option['name']} is a global option")
        for other in option.get("conflicts", []):
            if other not in [candidate["name"] for candidate in command["options"]]:
                fail(f"{name}: --{option['name']} conflicts with no option --{other}")
    optional = False
    for argument in command.setdefault("arguments", []):
        check_fields(f"{name} {argument['name']}", argument, ARGUMENT_FIELDS)
        if optional and not argument.get("optional"):
            fail(f"{name}: an argument after an optional one")
        optional = argument.get("optional", False)
    check_names(name, command["options"] + command["arguments"])


def load(path):
    with open(path, encoding="utf-8") as file:
        facts = yaml.safe_load(file)
    for option in facts["program"]["options"]:
        check_option("global", option)
    global_names = [option["name"] for option in facts["program"]["options"]]
    check_names("global", facts["program"]["options"])
    check_names("commands", facts["commands"])
    for command in facts["commands"]:
        check_command(command, global_names)
    keys = facts["configuration"]["keys"]
    check_names("configuration", keys, "key")
    for key in keys:
        check_fields(key["key"], key, KEY_FIELDS)
        if key["type"] not in KEY_TYPES:
            fail(f"{key['key']}: no such type: {key['type']}")
    return facts


def visible(options):
    return [option for option in options if not option.get("hidden")]


def spelled(option):
    """How an option is written: "-c, --config FILE"."""
    text = f"--{option['name']}"
    if "letter" in option:
        text = f"-{option['letter']}, {text}"
    return text + (f" {option['value']}" if "value" in option else "")


def usage(command):
    parts = ["backstay", command["name"]]
    for argument in command["arguments"]:
        parts.append(f"[{argument['value']}]" if argument.get("optional") else argument["value"])
    for option in visible(command["options"]):
        text = spelled(option)
        repeat = "..." if option["type"] == "list" else ""
        parts.append(text if option.get("required") else f"[{text}]{repeat}")
    return parts
