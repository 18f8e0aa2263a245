"""pages - manual pages, completion for bash, and docs/reference."""

import os
import re

import errors as error_file
import facts as fact_file
import problems as problem_file

SHOW = {"name-list": "list of names", "path-list": "list of paths", "text-list": "list of texts",
        "map": "mapping", "texts": "mapping of texts",
        "bool": "true or false", "unavailable": "not in this version", "int": "whole number",
        "cron": "schedule", "connection": "connection string"}


# ---- manual pages

def roff(text):
    """Text with what roff would take for its own made harmless."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def paragraphs(text):
    return ".PP\n".join(roff(" ".join(part.split())) + "\n"
                        for part in re.split(r"\n\s*\n", text.strip()))


def man_name(command):
    return "backstay-" + command["name"].replace(" ", "-")


def man_options(options):
    out = []
    for option in fact_file.visible(options):
        text = option["help"]
        if "default" in option:
            text += f" (default {option['default']})"
        text += "." + (" " + option["more"].strip() if "more" in option else "")
        out.append(f".TP\n\\fB{roff(fact_file.spelled(option))}\\fR\n{roff(' '.join(text.split()))}\n")
    return "".join(out)


def man_head(name, section, version, summary):
    return (f'.TH {name.upper()} {section} "" "backstay {version}"\n'
            f".nh\n.ad l\n.SH NAME\n{roff(name)} \\- {roff(summary)}\n")


def man_statuses(program):
    return ".SH EXIT STATUS\n" + "".join(f".TP\n{row['status']}\n{roff(row['help'])}\n"
                                         for row in program["exit_statuses"])


def man_program(facts, version):
    program = facts["program"]
    out = [man_head("backstay", 1, version, program["summary"]),
           ".SH SYNOPSIS\n\\fBbackstay\\fR [\\fB\\-c\\fR \\fIFILE\\fR] \\fICOMMAND\\fR ...\n",
           ".SH DESCRIPTION\n", paragraphs(program["description"]), ".SH COMMANDS\n"]
    for command in facts["commands"]:
        page = man_name(command)
        out.append(f".TP\n\\fB{page}\\fR(1)\n{roff(command['summary'])}\n".replace(
            page, roff(page)))
    out += [".SH OPTIONS\n", man_options(program["options"]), man_statuses(program),
            ".SH ENVIRONMENT\n"]
    out += [f".TP\n\\fB{row['name']}\\fR\n{roff(row['help'])}\n" for row in program["environment"]]
    out.append(".SH FILES\n")
    out += [f".TP\n\\fI{roff(row['path'])}\\fR\n{roff(row['help'])}\n" for row in program["files"]]
    out.append(".SH SEE ALSO\n\\fBbackstay.yaml\\fR(5)\n")
    return "".join(out)


def man_command(command, facts, version):
    page = man_name(command)
    out = [man_head(page, 1, version, command["summary"]),
           ".SH SYNOPSIS\n", roff(" ".join(fact_file.usage(command))), "\n",
           ".SH DESCRIPTION\n", paragraphs(command["description"])]
    out += [f".TP\n\\fI{argument['value']}\\fR\n{roff(argument['help'])}\n"
            for argument in command["arguments"]]
    if fact_file.visible(command["options"]):
        out += [".SH OPTIONS\n", man_options(command["options"])]
    out += [".SH OPTIONS OF EVERY COMMAND\n", man_options(facts["program"]["options"]),
            man_statuses(facts["program"])]
    if command.get("examples"):
        out.append(".SH EXAMPLES\n")
        out += [f".TP\n\\fB{roff(example['command'])}\\fR\n{roff(example['help'])}\n"
                for example in command["examples"]]
    out.append(".SH SEE ALSO\n\\fBbackstay\\fR(1), \\fBbackstay.yaml\\fR(5)\n")
    return "".join(out)


def key_facts(key):
    parts = [SHOW.get(key["type"], key["type"])]
    if "choices" in key:
        parts = [" or ".join(key["choices"])]
    if "min" in key:
        parts.append(f"{key['min']} to {key['max']}")
    if key.get("required"):
        parts.append("required")
    if "default" in key:
        parts.append(f"default {key['default']}")
    return ", ".join(parts)


def man_configuration(facts, version):
    configuration = facts["configuration"]
    out = [man_head("backstay.yaml", 5, version, configuration["summary"]),
           ".SH DESCRIPTION\n", paragraphs(configuration["description"]), ".SH KEYS\n"]
    for key in configuration["keys"]:
        text = f"{key['help']} ({key_facts(key)}). {key.get('more', '')}".strip()
        out.append(f".TP\n\\fB{roff(key['key'])}\\fR\n{roff(' '.join(text.split()))}\n")
    out += [".SH EXAMPLE\n.nf\n", roff(configuration["example"]), ".fi\n",
            ".SH SEE ALSO\n\\fBbackstay\\fR(1)\n"]
    return "".join(out)


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def man_pages(facts, version):
    """Every page by the name of its file."""
    pages = {"backstay.1": man_program(facts, version),
             "backstay.yaml.5": man_configuration(facts, version)}
    for command in facts["commands"]:
        pages[f"{man_name(command)}.1"] = man_command(command, facts, version)
    return pages


def list_man(source):
    print("\n".join(man_pages(fact_file.load(source), "")))


def make_man(source, version, directory):
    for name, text in man_pages(fact_file.load(source), version).items():
        write(f"{directory}/{name}", text)


# ---- completion

def option_words(options):
    return " ".join(f"--{option['name']}" for option in fact_file.visible(options))


def make_completion(source, path):
    facts = fact_file.load(source)
    firsts = sorted({command["name"].split()[0] for command in facts["commands"]})
    seconds = {}
    for command in facts["commands"]:
        words = command["name"].split()
        if len(words) == 2:
            seconds.setdefault(words[0], []).append(words[1])
    out = ["# bash completion for backstay; made from meta/options.yaml",
           "_backstay()", "{",
           '    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}',
           '    local command="" i words',
           "    COMPREPLY=()",
           '    for ((i = 1; i < COMP_CWORD; i++)); do',
           '        case ${COMP_WORDS[i]} in',
           '        -c | --config) i=$((i + 1)) ;;',
           '        -*) ;;',
           '        *)',
           '            case $command in',
           f'            "" | {" | ".join(sorted(seconds))}) '
           'command="${command:+$command }${COMP_WORDS[i]}" ;;',
           '            esac',
           '            ;;',
           '        esac',
           '    done',
           '    case $before in']
    for option in facts["program"]["options"]:
        if option["type"] == "path":
            out += [f"    -{option['letter']} | --{option['name']})",
                    '        COMPREPLY=($(compgen -f -- "$word"))', "        return ;;"]
    paths, choices = set(), {}
    for command in facts["commands"]:
        for option in command["options"]:
            if option["type"] == "path":
                paths.add(f"--{option['name']}")
            if option["type"] == "choice":
                choices[f"--{option['name']}"] = " ".join(option["choices"])
    out += [f"    {' | '.join(sorted(paths))})", '        COMPREPLY=($(compgen -f -- "$word"))',
            "        return ;;"]
    for name, words in sorted(choices.items()):
        out += [f"    {name})", f'        COMPREPLY=($(compgen -W "{words}" -- "$word"))',
                "        return ;;"]
    out += ["    esac", "    case $command in",
            f'    "") words="{" ".join(firsts)}" ;;']
    for first, words in sorted(seconds.items()):
        out.append(f'    {first}) words="{" ".join(words)}" ;;')
    for command in facts["commands"]:
        out.append(f'    "{command["name"]}") words="{option_words(command["options"])}" ;;')
    out += ['    *) words="" ;;', "    esac",
            f'    COMPREPLY=($(compgen -W "$words {option_words(facts["program"]["options"])}" '
            '-- "$word"))', "}", "complete -F _backstay backstay"]
    write(path, "\n".join(out) + "\n")


# ---- docs/reference

NOTE = "<!-- Generated from meta/ by `make docs`; do not edit. -->\n\n"


def md_options(options):
    out = []
    for option in fact_file.visible(options):
        text = option["help"]
        if "default" in option:
            text += f" (default `{option['default']}`)"
        text += "." + (" " + option["more"].strip() if "more" in option else "")
        out.append(f"- `{fact_file.spelled(option)}`: {' '.join(text.split())}\n")
    return "".join(out)


def md_commands(facts):
    program = facts["program"]
    out = ["# Commands\n\n", NOTE, program["description"].strip() + "\n\n",
           "## Options of every command\n\n", md_options(program["options"]),
           "\n## Exit status\n\n", "| status | meaning |\n|---|---|\n"]
    out += [f"| {row['status']} | {row['help']} |\n" for row in program["exit_statuses"]]
    out.append("\n## Environment\n\n")
    out += [f"- `{row['name']}`: {row['help']}.\n" for row in program["environment"]]
    for command in facts["commands"]:
        out += [f"\n## backstay {command['name']}\n\n",
                f"`{' '.join(fact_file.usage(command))}`\n\n",
                f"{command['summary'][0].upper()}{command['summary'][1:]}.\n\n",
                command["description"].strip() + "\n"]
        if command["arguments"]:
            out.append("\n")
        out += [f"- `{argument['value']}`: {argument['help']}.\n"
                for argument in command["arguments"]]
        if fact_file.visible(command["options"]):
            out += ["\nOptions:\n\n", md_options(command["options"])]
        if command.get("examples"):
            out.append("\nExamples:\n\n")
            out += [f"- `{example['command']}`: {example['help']}.\n"
                    for example in command["examples"]]
    return "".join(out)


def md_configuration(facts):
    configuration = facts["configuration"]
    out = ["# Configuration\n\n", NOTE, configuration["description"].strip() + "\n\n",
           "```yaml\n", configuration["example"], "```\n\n", "| key | value | meaning |\n|---|---|---|\n"]
    for key in configuration["keys"]:
        text = key["help"] + (". " + " ".join(key["more"].split()) if "more" in key else "")
        out.append(f"| `{key['key']}` | {key_facts(key)} | {text} |\n".replace("|\\|", "|"))
    return "".join(out)


def md_errors(errors):
    out = ["# Errors: what they mean and what to do\n\n", NOTE,
           "Every failure is one line on standard error, which names the object concerned and the cause, "
           "and an exit status. Retry: never (something must be changed first), later, or now.\n\n",
           "| code | exit status | retry | meaning | what to do |\n|---|---|---|---|---|\n"]
    out += [f"| {error['code']} | {error['exit']} | {error['retry']} | {error['meaning']} "
            f"| {error.get('action', error.get('hint'))} |\n" for error in errors]
    return "".join(out)


def reference(options_path, errors_path):
    facts = fact_file.load(options_path)
    errors = error_file.load(errors_path)
    problems_path = os.path.join(os.path.dirname(errors_path), "problems.yaml")
    return {"commands.md": md_commands(facts), "configuration.md": md_configuration(facts),
            "errors.md": md_errors(errors),
            "problems.md": problem_file.page(problems_path, NOTE, errors)}


def make_reference(options_path, errors_path, directory):
    os.makedirs(directory, exist_ok=True)
    for name, text in reference(options_path, errors_path).items():
        write(f"{directory}/{name}", text)


def check_reference(options_path, errors_path, directory):
    for name, text in reference(options_path, errors_path).items():
        path = f"{directory}/{name}"
        if not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
            raise SystemExit(f"{path} is stale: run make docs")
