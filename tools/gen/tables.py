"""tables - the C tables of options, commands and configuration keys, with the texts of --help."""

import re
import textwrap

import facts as fact_file
from errors import c_string

WIDTH = 79


def wrap(text, indent=0):
    """Paragraphs of a text, filled to the width."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    pad = " " * indent
    return "\n\n".join(textwrap.fill(" ".join(paragraph.split()), WIDTH, initial_indent=pad,
                                     subsequent_indent=pad, break_long_words=False,
                                     break_on_hyphens=False) for paragraph in paragraphs)


def wrap_usage(parts):
    lines = ["usage: " + " ".join(parts[:2])]
    for part in parts[2:]:
        if len(lines[-1]) + 1 + len(part) > WIDTH:
            lines.append(" " * 11 + part)
        else:
            lines[-1] += " " + part
    return "\n".join(lines)


def columns(rows):
    """Two columns: what is written, and what it means."""
    left = min(max(len(row[0]) for row in rows) + 4, 32)
    out = []
    for name, text in rows:
        lines = textwrap.wrap(text, WIDTH - left, break_on_hyphens=False)
        first = f"  {name}"
        if len(first) + 2 > left:
            out.append(first)
            first = ""
        out.append(first.ljust(left) + lines[0])
        out += [" " * left + line for line in lines[1:]]
    return "\n".join(out)


def option_rows(options):
    rows = []
    for option in fact_file.visible(options):
        spelled = fact_file.spelled(option)
        text = option["help"]
        if "default" in option:
            text += f" ({option['default']} when not given)"
        rows.append((spelled if "letter" in option else "    " + spelled, text))
    return rows


def command_help(command, program):
    parts = [wrap_usage(fact_file.usage(command)), "", wrap(command["description"])]
    if command["arguments"]:
        parts += ["", columns([(argument["value"], argument["help"])
                               for argument in command["arguments"]])]
    if fact_file.visible(command["options"]):
        parts += ["", "Options:", columns(option_rows(command["options"]))]
    parts += ["", "Options of every command:", columns(option_rows(program["options"]))]
    if command.get("examples"):
        parts += ["", "Examples:"]
        for example in command["examples"]:
            parts += [f"  {example['command']}", wrap(example["help"], 6)]
    return "\n".join(parts) + "\n"


def program_help(facts):
    program = facts["program"]
    return "\n".join([
        "usage: backstay [-c FILE] COMMAND ...", "", wrap(program["description"]), "", "Commands:",
        columns([(command["name"], command["summary"]) for command in facts["commands"]]), "",
        "Options of every command:", columns(option_rows(program["options"])), "",
        "Exit status:", columns([(str(row["status"]), row["help"])
                                 for row in program["exit_statuses"]]), "",
        "`backstay COMMAND --help` tells more.",
    ]) + "\n"


def c_text(text):
    """A text of many lines as C string literals."""
    return "\n        ".join(c_string(line + "\n") for line in text.rstrip("\n").split("\n"))


def c_strings(strings):
    if not strings:
        return "NULL"
    return "(const char *const[]){" + ", ".join([*map(c_string, strings), "NULL"]) + "}"


def c_enum(prefix, name):
    return prefix + name.upper().replace("-", "_")


def c_bool(value):
    return "true" if value else "false"


def option_fields(option):
    fields = [f".name = {c_string(option['name'])}",
              f".type = {c_enum('BK_OPTION_', option['type'])}"]
    if "letter" in option:
        fields.append(f".letter = '{option['letter']}'")
    if option.get("required"):
        fields.append(".is_required = true")
    if "min" in option:
        fields.append(f".min = {option['min']}, .max = {option['max']}")
    if "choices" in option:
        fields.append(f".choices = {c_strings(option['choices'])}")
    if "default" in option:
        fields.append(f".fallback = {c_string(str(option['default']))}")
    if "conflicts" in option:
        fields.append(f".conflicts = {c_strings(option['conflicts'])}")
    return "    {" + ", ".join(fields) + "},\n"


def write_options(out, name, options):
    out.write(f"static const BkOptionInfo {name}[] = {{\n")
    for option in options:
        out.write(option_fields(option))
    out.write("};\n\n")


def make_options(source, path):
    facts = fact_file.load(source)
    with open(path, "w", encoding="utf-8") as out:
        out.write("/* option-table.h - commands and options; made from meta/options.yaml. */\n"
                  "#pragma once\n\n")
        write_options(out, "global_options", facts["program"]["options"])
        out.write(f"static const char program_help[] =\n        {c_text(program_help(facts))};\n\n")
        for command in facts["commands"]:
            ident = command["name"].replace(" ", "_")
            if command["options"]:
                write_options(out, f"options_of_{ident}", command["options"])
            if command["arguments"]:
                out.write(f"static const BkArgumentInfo arguments_of_{ident}[] = {{\n")
                for argument in command["arguments"]:
                    out.write(f"    {{{c_string(argument['name'])}, {c_string(argument['value'])}, "
                              f"{c_bool(argument.get('optional'))}}},\n")
                out.write("};\n\n")
        out.write("static const BkCommandInfo commands[] = {\n")
        for command in facts["commands"]:
            ident = command["name"].replace(" ", "_")
            options = f"options_of_{ident}" if command["options"] else "NULL"
            arguments = f"arguments_of_{ident}" if command["arguments"] else "NULL"
            out.write(f"    {{{c_string(command['name'])}, {options}, {len(command['options'])}, "
                      f"{arguments}, {len(command['arguments'])},\n        "
                      f"{c_text(command_help(command, facts['program']))}}},\n")
        out.write("};\n")


def make_keys(source, path):
    facts = fact_file.load(source)
    with open(path, "w", encoding="utf-8") as out:
        out.write("/* key-table.h - keys of the configuration; made from meta/options.yaml. */\n"
                  "#pragma once\n#include \"config/check.h\"\n\n"
                  "static const BkKeyInfo bk_key_table[] = {\n")
        for key in facts["configuration"]["keys"]:
            pattern = key["key"].replace("NAME", "*")
            out.write(f"    {{{c_string(pattern)}, {c_enum('BK_KEY_', key['type'])}, "
                      f"{c_bool(key.get('required'))}, {key.get('min', 0)}, {key.get('max', 0)}, "
                      f"{c_strings(key.get('choices'))}}},\n")
        out.write("};\n")


def make_commands(source, path, *files):
    """The commands that have a file cmd-NAME.c, with the functions in them."""
    facts = fact_file.load(source)
    there = {re.sub(r".*/cmd-(.*)\.c$", r"\1", file) for file in files}
    known = {command["name"].replace(" ", "-") for command in facts["commands"]}
    if there - known:
        fact_file.fail(f"no such commands: {sorted(there - known)}")
    with open(path, "w", encoding="utf-8") as out:
        out.write("/* command-table.h - the function of each command; made from the files that are "
                  "there. */\n#pragma once\n\nstatic const BkCommandFunction command_functions[] = {\n")
        for command in facts["commands"]:
            if command["name"].replace(" ", "-") in there:
                out.write(f"    {{{c_string(command['name'])}, "
                          f"bk_cmd_{command['name'].replace(' ', '_')}}},\n")
        out.write("    {NULL, NULL},\n};\n")
