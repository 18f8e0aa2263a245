"""Medians, ratios against the targets, and the table."""
import json
import os
import platform
import statistics
import subprocess

from trials import OURS, PEER1, PEER3

MIB = 1 << 20
# What is promised: (sentence, trial, measure, against, threshold); the ratio is theirs to ours,
# so that twice as fast reads 2.0.
TARGETS = [
    ("snapshot: twice as fast as pgBackRest at zst 3", "snapshot", "wall", PEER3, 2.0),
    ("snapshot: 1.5 times as fast as pgBackRest at zst 1", "snapshot", "wall", PEER1, 1.5),
    ("snapshot: fewer CPU-seconds than pgBackRest at zst 1", "snapshot", "cpu", PEER1, 1.0),
    ("restore: 1.5 times as fast as pgBackRest (zst 3)", "restore", "wall", PEER3, 1.5),
    ("restore: 1.5 times as fast as pgBackRest (zst 1)", "restore", "wall", PEER1, 1.5),
    ("delta restore: 3 times as fast as pgBackRest (zst 3)", "delta", "wall", PEER3, 3.0),
    ("delta restore: 3 times as fast as pgBackRest (zst 1)", "delta", "wall", PEER1, 3.0),
    ("50,000 small files: no slower per file than tar", "files", "wall", "tar and sync", 1.0),
    ("wal push: 2.5 times pgBackRest's synchronous rate (zst 1)", "push", "wall", PEER1, 2.5),
    ("wal fetch: 2.5 times pgBackRest's rate (zst 1)", "fetch", "wall", PEER1, 2.5),
]
TARGETS += [
    ("bucket: backup 1.5 times as fast as pgBackRest", "bucket, backup", "wall", PEER1, 1.5),
    ("bucket: restore 1.5 times as fast as pgBackRest", "bucket, restore", "wall", PEER1, 1.5),
]
TARGETS += [(f"bucket: a tenth of pgBackRest's requests in a {job} ({how})", f"bucket, {job}", "requests",
             label, 10)
            for label, how in ((f"{PEER1}, unbundled", "its default"), (PEER1, "with bundling"))
            for job in ("backup", "restore")]
CASES = {  # of the trial increment: how much faster in wall time and in CPU time
    "no change": (2.0, 3.0), "1 % of the pages, spread": (3.0, 5.0),
    "1 % of the pages, in one place": (3.0, 5.0), "pgbench": (2.0, 2.0),
    "1 % of the rows, spread": (2.0, 2.0),
}
TARGETS += [(f"increment, {case}: {factor:g} times less {name} than pgBackRest (zst 1)",
             f"increment, {case}", what, PEER1, factor)
            for case, factors in CASES.items()
            for factor, what, name in zip(factors, ("wall", "cpu"), ("wall time", "CPU time"))]
# Ours to ours: (sentence, trial, trial that it is compared with, measure, how many times at most)
GROWTHS = [
    ("increment with twice the data: CPU time", "scale, twice the data", "scale, the data", "cpu", 1.1),
    ("increment with twice the data: wall time", "scale, twice the data", "scale, the data", "wall", 1.2),
    ("restore of the last of a chain, to that of a full snapshot: wall time",
     "chain, restore of the last", "chain, restore of a full one", "wall", 1.5),
]
GROWTHS += [(f"bucket 50 ms away: {job} of {data}, wall time", f"bucket, {job} of {data}, 50 ms away",
             f"bucket, {job} of {data}, near", "wall", 1.5)
            for data in ("quarter", "full") for job in ("backup", "restore")]
PEAK_LIMIT = 256 * MIB
PEAK_GROWTH = 1.1


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")),
                     platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": model, "cores": os.cpu_count(), "memory": f"{memory / (1 << 30):.1f} GiB",
            "kernel": platform.release()}


def version(argv):
    try:
        done = subprocess.run(argv, capture_output=True, text=True)
    except OSError:
        return "absent"
    return (done.stdout or done.stderr).strip().split("\n")[0]


def summarise(rows):
    """[{trial, contender, runs, medians}] in the order measured."""
    return [{"trial": row.trial, "contender": row.label, "runs": row.runs,
             "median": {name: statistics.median(run[name] for run in row.runs)
                        for name in row.runs[0]}} for row in rows]


def judge(summary):
    """What came of each target whose trial ran."""
    median = {(row["trial"], row["contender"]): row["median"] for row in summary}
    trials = {row["trial"] for row in summary}
    verdicts = []
    for sentence, trial, what, against, threshold in TARGETS:
        if trial not in trials:
            continue
        ours, theirs = median.get((trial, OURS)), median.get((trial, against))
        if not ours or not theirs:
            verdicts.append((sentence, f"≥ {threshold}", "–", "not measured"))
            continue
        ratio = theirs[what] / ours[what]
        verdicts.append((sentence, f"≥ {threshold}", f"{ratio:.2f}", met(ratio >= threshold)))
    return (verdicts + _judge_memory(median) + _judge_growth(median) + _judge_rates(median))


def _judge_rates(median):
    """What goes through, of what the gateway itself reaches at four streams."""
    verdicts = []
    own = median.get(("bucket, the gateway itself", "curl, 4 streams"))
    for job, way in (("backup", "put"), ("restore", "get")) if own else ():
        for label in (OURS, "backstay stored"):
            ours = median.get((f"bucket, {job}", label))
            if ours:
                share = ours["raw MB/s"] / own[f"{way} MB/s"]
                verdicts.append((f"bucket: {job} ({label}), share of the gateway's own rate", "≥ 0.7",
                                 f"{share:.2f}", met(share >= 0.7)))
    return verdicts


def _judge_growth(median):
    verdicts = []
    for sentence, trial, base, what, limit in GROWTHS:
        grown, ours = median.get((trial, OURS)), median.get((base, OURS))
        if grown and ours:
            ratio = grown[what] / ours[what]
            verdicts.append((sentence, f"≤ {limit}", f"{ratio:.2f}", met(ratio <= limit)))
    return verdicts


def _judge_memory(median):
    verdicts = []
    for job in ("backup", "restore"):
        if (f"memory, {job} of full", PEER1) not in median:
            continue
        whole = median.get((f"memory, {job} of full", OURS))
        part = median.get((f"memory, {job} of quarter", OURS))
        if not whole or not part:
            verdicts.append((f"{job}: peak memory under 256 MiB", "≤ 256 MiB", "–", "not measured"))
            continue
        growth = whole["peak"] / part["peak"] if part["peak"] else float("inf")
        verdicts.append((f"{job}: peak memory under 256 MiB", "≤ 256 MiB",
                         f"{whole['peak'] / MIB:.0f} MiB", met(whole["peak"] <= PEAK_LIMIT)))
        verdicts.append((f"{job}: peak memory with four times the data", f"≤ {PEAK_GROWTH}",
                         f"{growth:.2f}", met(growth <= PEAK_GROWTH)))
    return verdicts


def met(yes):
    return "met" if yes else "NOT MET"


def markdown(facts, summary, verdicts):
    lines = [f"# Bench of {facts['date']}", ""]
    lines += [f"- {name}: {value}" for name, value in facts["machine"].items()]
    lines += [f"- {name}: {value}" for name, value in facts["versions"].items()]
    lines += [f"- {name}: {value}" for name, value in facts["settings"].items()]
    lines += ["", "## Targets", "", "| target | wanted | measured | |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(verdict)} |" for verdict in verdicts]
    lines += ["", f"## Medians of {facts['settings']['runs']}", "",
              "| trial | contender | wall s | spread s | CPU s | peak MiB | stored MB | more "
              "| Backstay is faster by |",
              "|---|---|---|---|---|---|---|---|---|"]
    ours = {row["trial"]: row["median"]["wall"] for row in summary if row["contender"] == OURS}
    lines += [_line(row, ours.get(row["trial"])) for row in summary]
    return "\n".join(lines) + "\n"


def _line(row, ours):
    median = row["median"]
    walls = [run["wall"] for run in row["runs"]]
    known = ("wall", "cpu", "peak", "stored")
    cells = [row["trial"], row["contender"], f"{median['wall']:.2f}",
             f"{min(walls):.2f}–{max(walls):.2f}", f"{median['cpu']:.2f}",
             f"{median['peak'] / MIB:.0f}",
             f"{median['stored'] / 1e6:.0f}" if "stored" in median else "",
             ", ".join(f"{name} {value:.3g}" for name, value in median.items() if name not in known),
             f"{median['wall'] / ours:.2f}" if ours and row["contender"] != OURS else ""]
    return f"| {' | '.join(cells)} |"


def write(directory, facts, summary, verdicts):
    """Leaves <date>.md and <date>.json in `directory` and returns the text of the first."""
    os.makedirs(directory, exist_ok=True)
    text = markdown(facts, summary, verdicts)
    base = os.path.join(directory, facts["date"])
    with open(base + ".md", "w") as out:
        out.write(text)
    targets = [dict(zip(("target", "wanted", "measured", "verdict"), verdict)) for verdict in verdicts]
    with open(base + ".json", "w") as out:
        json.dump(dict(facts, results=summary, targets=targets), out, indent=1)
    return text, base
