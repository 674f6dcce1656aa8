"""RESULTS.md, out of what results.json has."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

from rows import Medians, Row, Topic, goals, topics
from scenarios import BATCHES, scenarios
from servers import BEFORE, OURS, PEERS, ROOT, SERVERS
from stage import Sizes

Results = dict[str, Any]

INTRO = """\
Written by `{command}`.

This server and its [peers]({load}/peers/README.md), which have the same contract: one at a time, each run on a server \
just started and on a database of its own, empty but for the long conversation of the deep pages, in one private \
Postgres with default settings (`fsync` and `synchronous_commit` on). The load comes from \
[chat-load]({load}/README.md), which also checks that every message arrives once and in order: a run in which one does \
not is a failure. Server, Postgres and the load generator share the machine.

Measured time of a run: {seconds:g} s; repetitions: {repeat}, interleaved: each scenario goes through all servers \
before the next one begins, and each repetition begins with another server. Cells are medians, with the range in \
parentheses. *Ratio* is this server's median over the better peer's: above 1 is better for rates, below 1 for costs.
"""

WITH_BEFORE = """\
*before* is another binary of this server, which takes the place of the peers here.
"""

SMOKE = """\
**A smoke run: sizes and times are much smaller than the labels say. It shows that the benchmark works, and nothing of \
the servers.**
"""

POSTGRES_ALONE = """\
The same rows, stored in the same tables by pgbench: prepared statements over as many connections as the server stores \
messages with, no clients. A batch of one is the server's own statement; larger ones are stored in one statement, too, \
but without its checks. Compare the server's line with the batch size that is nearest to its own.
"""


def document(results: Results, directory: Path) -> str:
    """What is written into a directory: links are relative to it."""
    runs = results["runs"]
    medians = Medians(runs)
    settings = results["settings"]
    servers = [server for server in SERVERS if server in settings["servers"]]
    load = os.path.relpath(ROOT / "load", directory)
    parts = ["# Results\n", *paragraphs(INTRO.format(command=results["command"], load=load, **settings))]
    if BEFORE in servers:
        parts += paragraphs(WITH_BEFORE)
    if settings["quick"]:
        parts += paragraphs(SMOKE)
    parts += paragraphs(chosen(medians, servers))
    parts += [f"\n> {note}\n" for note in results["notes"]]
    parts.append(about(results))
    if table := goals_table(medians, servers):
        parts.append(f"\n## What it aims at\n\n{table}\n")
    parts.append("\n![The figures as bars](results.svg)\n")
    for topic in topics(settings["pages"]):
        if table := topic_table(topic, medians, servers):
            parts += [f"\n## {topic.title}\n", *paragraphs(topic.about), f"\n{table}\n"]
    if "postgres-alone" in medians.scenarios:
        parts.append(postgres_alone(medians))
    parts.append(failures(runs))
    return "".join(parts)


def paragraphs(text: str) -> list[str]:
    """In lines of a length, each with an empty one before it."""
    def fill(paragraph: str) -> str:
        return textwrap.fill(paragraph, 120, break_long_words=False, break_on_hyphens=False)

    return [f"\n{fill(paragraph)}\n" for paragraph in text.split("\n\n") if paragraph]


def chosen(medians: Medians, servers: list[str]) -> str:
    """What was chosen of all there is; empty where it was everything."""
    names = [scenario.name for scenario in scenarios(Sizes())]
    some = [name for name in names if name in medians.scenarios]
    parts = []
    if len(some) < len(names):
        parts.append(f"of the {len(names)} scenarios {', '.join(f'`{name}`' for name in some)}")
    if BEFORE not in servers and len(servers) < 1 + len(PEERS):
        parts.append(f"of the {1 + len(PEERS)} servers {', '.join(servers)}")
    return f"Chosen were {'; '.join(parts)}. The others were not measured, and are left out here." if parts else ""


def about(results: Results) -> str:
    facts = {"date": results["date"], "commit": results["commit"], **results["machine"]}
    if before := results.get("before"):
        facts[BEFORE] = before
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [f"| {name} | {value} |" for name, value in {**facts, "versions": versions}.items()]
    return "\n" + "\n".join(["| | |", "| --- | --- |", *lines]) + "\n"


def number(value: float) -> str:
    """With three digits or so, as many as one can make use of."""
    size = abs(value)
    if size >= 100 or value == round(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def cell(medians: Medians, row: Row, server: str) -> str:
    values = medians.values(row.scenario, row.figure, server)
    failed = medians.failed(row.scenario, server)
    if not values:
        return "failed" if failed else "–"
    text = number(medians.value(row.scenario, row.figure, server))
    if row.figure == "per_s" and medians.value(row.scenario, "generator_is_limit", server):
        text = f"≥ {text}†"
    if number(min(values)) != number(max(values)):
        text += f" ({number(min(values))}–{number(max(values))})"
    return f"{text}, {failed} failed" if failed else text


def ratio(medians: Medians, row: Row) -> str:
    if row.better is None:
        return ""
    peer = medians.best_peer(row.scenario, row.figure, row.better)
    value = medians.ratio(row.scenario, row.figure, peer)
    return "–" if value is None else f"{value:.2f} × {peer}"


def topic_table(topic: Topic, medians: Medians, servers: list[str]) -> str:
    """Empty where nothing of the topic was run."""
    rows = [row for row in topic.rows if row.scenario in medians.scenarios]
    if not rows:
        return ""
    lines = [f"| | {' | '.join(servers)} | ratio |", "| --- |" + " ---: |" * len(servers) + " --- |"]
    for row in rows:
        cells = [cell(medians, row, server) for server in servers]
        lines.append(f"| {row.label} | {' | '.join(cells)} | {ratio(medians, row)} |")
    if any("†" in line for line in lines):
        lines.append(
            "\n† The load generator, one thread, used more than 0.9 core at this rate or at the next one that was "
            "tried:\nthe server may hold more."
        )
    return "\n".join(lines)


def goals_table(medians: Medians, servers: list[str]) -> str:
    """Empty where none of them was to be measured."""
    lines = ["| what | goal | reached | |", "| --- | --- | ---: | --- |"]
    to_measure = [goal for goal in goals() if goal.was_chosen(medians, servers)]
    if not to_measure:
        return ""
    for goal in to_measure:
        text, is_reached = goal.reached(medians)
        if is_reached is None and medians.failed(goal.scenario, OURS):
            text, is_reached = "failed", False
        verdict = {True: "yes", False: "**no**", None: "not measured"}[is_reached]
        lines.append(f"| {goal.what} | {goal.aim} | {text} | {verdict} |")
    return "\n".join(lines)


def postgres_alone(medians: Medians) -> str:
    """What Postgres can do, beside what the server gets out of it."""
    def line(label: str, scenario: str, server: str, prefix: str, cpu: str, batch: str) -> str:
        per_s, cost = (medians.value(scenario, figure, server) for figure in (f"{prefix}per_s", cpu))
        cells = ["–" if value is None else number(value) for value in (per_s, cost)]
        return f"| {label} | {batch} | {' | '.join(cells)} |"

    lines = ["| | rows in a batch | rows/s | CPU of Postgres, µs a row |", "| --- | ---: | ---: | ---: |"]
    lines += [
        line("pgbench", "postgres-alone", "postgres", f"batch{batch}_", f"batch{batch}_cpu_us", str(batch))
        for batch in BATCHES
    ]
    for scenario in ("chat-256x1", "chat-1000x8"):
        if (batch := medians.value(scenario, "batch", OURS)) is not None:
            lines.append(line(f"{OURS}, {scenario}", scenario, OURS, "", "postgres_cpu_us", f"{batch:.1f} on average"))
    return "".join(["\n## Postgres alone\n", *paragraphs(POSTGRES_ALONE), "\n", "\n".join(lines), "\n"])


def failures(runs: list[dict[str, Any]]) -> str:
    failed = [run for run in runs if run["failure"]]
    if not failed:
        return "\nEvery run was correct: no message lost, repeated, reordered or altered.\n"
    lines = [
        f"| {run['scenario']} | {run['server']} | {run['repetition']} | {in_a_cell(run['failure'])} |" for run in failed
    ]
    head = "\n## Runs that failed\n\n| scenario | server | repetition | why |\n| --- | --- | ---: | --- |\n"
    return head + "\n".join(lines) + "\n"


def in_a_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
