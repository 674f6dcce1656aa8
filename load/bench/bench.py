"""Compares this server with its peers: starts each in turn on a private Postgres, runs chat-load against it, and writes
RESULTS.md, results.svg and results.json.

    bench.py        what is run when, and what is written
    scenarios.py    what is run against each server, and which figures come of it
    stage.py        where scenarios are run, and how much of everything there is
    servers.py      Postgres and the servers
    fill.py         rows that are there before a run
    machine.py      on what it ran
    rows.py         the figures that are shown, and what is aimed at
    report.py       RESULTS.md
    chart.py        results.svg
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import secrets
import shlex
import shutil
import signal
import statistics
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import machine
import report
import servers
from rows import Run
from scenarios import scenarios
from servers import BEFORE, OURS, PEERS, ROOT, Failed, Postgres, Product
from stage import SMALL, Sizes, Stage

# What is open in the tool and in a server besides the connections.
OTHER_FILES = 300


def main() -> int:
    arguments = parse()
    if arguments.render:
        try:
            write_all(read(arguments.render), arguments.output)
        except Failed as failed:
            print(f"bench: {failed}", file=sys.stderr)
            return 1
        return 0
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, interrupt)
    # Below /tmp: the path of a Unix socket must be short, and the user of Postgres must be able to enter it.
    directory = Path(tempfile.mkdtemp(prefix="chat-bench-", dir="/tmp"))
    directory.chmod(0o755)
    postgres = Postgres(directory)
    try:
        postgres.start()
        return compare(arguments, postgres)
    except Failed as failed:
        print(f"bench: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    finally:
        # A second Ctrl-C must not leave Postgres behind.
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, signal.SIG_IGN)
        postgres.stop()
        shutil.rmtree(directory, ignore_errors=True)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def parse() -> argparse.Namespace:
    names = [scenario.name for scenario in scenarios(Sizes())]
    parser = argparse.ArgumentParser(
        prog="bench",
        description="Compares this server with its peers, and writes RESULTS.md, results.svg and results.json.",
        epilog=f"Scenarios: {', '.join(names)}. Servers: {', '.join([OURS, *PEERS])}. The binaries are those of "
        "`make bench`, which builds them first and takes these options as ARGS='…'. Nothing else should run on the "
        "machine meanwhile.",
    )
    parser.add_argument("--repeat", type=positive, metavar="N", help="repetitions (5; with --quick 1)")
    parser.add_argument("--seconds", type=positive, metavar="N", help="measured time of a run (5; with --quick 2)")
    parser.add_argument(
        "--only", type=names_of(names), metavar="SCENARIO,…", default=names, help="only these scenarios"
    )
    with_whom = parser.add_mutually_exclusive_group()
    with_whom.add_argument(
        "--servers", type=names_of([OURS, *PEERS]), metavar="SERVER,…", default=[OURS, *PEERS],
        help="only these servers",
    )
    with_whom.add_argument(
        "--before", type=program, metavar="BINARY",
        help="another binary of this server instead of the peers: what a change costs",
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows within minutes that the benchmark itself works"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR",
        help="where the results go (load; with --quick load/bench/quick, with --before load/bench/before)",
    )
    parser.add_argument(
        "--render", type=Path, metavar="FILE", help="run nothing; write the document and the chart of a results.json"
    )
    arguments = parser.parse_args()
    arguments.repeat = arguments.repeat or (1 if arguments.quick else 5)
    arguments.seconds = arguments.seconds or (2 if arguments.quick else 5)
    if arguments.before:
        arguments.servers = [OURS, BEFORE]
    default = "load/bench/before" if arguments.before else "load/bench/quick" if arguments.quick else "load"
    arguments.output = arguments.output or ROOT / default
    return arguments


def positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError("must be a whole number, 1 or more")
    return int(text)


def program(text: str) -> Path:
    # It is started in another directory.
    path = Path(text).resolve()
    if shutil.which(path) is None:
        raise argparse.ArgumentTypeError(f"there is no program {path}")
    if not machine.said([str(path), "--version"]).startswith(f"{OURS} "):
        raise argparse.ArgumentTypeError(f"{path} --version does not answer as {OURS} does")
    return path


def names_of(known: list[str]) -> Any:
    def parse_names(text: str) -> list[str]:
        wanted = text.split(",")
        if unknown := [name for name in wanted if name not in known]:
            raise argparse.ArgumentTypeError(f"there is no {unknown[0]!r}; there are: {', '.join(known)}")
        # In the order in which they are run and shown.
        return [name for name in known if name in wanted]

    return parse_names


def compare(arguments: argparse.Namespace, postgres: Postgres) -> int:
    target = os.environ.get("CARGO_TARGET_DIR")
    binaries = Path(target or ROOT / "target").resolve() / "release"
    peer_binaries = binaries if target else ROOT / "load/peers/socketioxide/target/release"
    products = servers.products(binaries, peer_binaries, arguments.before)
    sizes, notes = allowed(SMALL if arguments.quick else Sizes(), arguments.only)
    used = [products[server].command[0] for server in {OURS, *arguments.servers}]
    servers.check_built([str(binaries / "chat-load"), *used])
    stage = Stage(postgres, binaries / "chat-load", secrets.token_hex(32), arguments.seconds, sizes)
    results: dict[str, Any] = {
        "version": 1,
        "command": shlex.join(["make", "bench", *([f"ARGS={shlex.join(sys.argv[1:])}"] if sys.argv[1:] else [])]),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": machine.commit(),
        "before": machine.identity(arguments.before) if arguments.before else None,
        "machine": machine.machine(),
        "versions": machine.versions(postgres),
        "settings": {
            "repeat": arguments.repeat, "seconds": arguments.seconds, "servers": arguments.servers,
            "quick": arguments.quick, "pages": sizes.pages,
        },
        "notes": notes,
        "runs": [],
    }
    runs: list[Run] = results["runs"]
    steps = plan(arguments, sizes, products)
    for done, (repetition, scenario, product) in enumerate(steps):
        server = product.name if scenario.of_every_server else "postgres"
        title = f"{repetition}/{arguments.repeat} {scenario.name} {server}"
        left = remaining(stage, steps[done:], runs)
        print(f"[{done + 1}/{len(steps)}] {title}, about {duration(left)} left", flush=True)
        begun = time.monotonic()
        run: Run = {
            "scenario": scenario.name, "server": server, "repetition": repetition, "failure": None, "figures": {},
        }
        try:
            measured = scenario.run(stage, product)
            run |= {"figures": measured.figures, "outcomes": measured.outcomes}
        except Failed as failed:
            run["failure"] = str(failed)
        run["took"] = round(time.monotonic() - begun, 1)
        runs.append(run)
        print(f"    {summary(run)}", flush=True)
        # What is measured stays, should the rest be interrupted.
        if done + 1 < len(steps) and steps[done + 1][0] != repetition:
            write(results, arguments.output)
    failed_runs = [run for run in runs if run["failure"] and run["server"] not in PEERS]
    for run in failed_runs:
        print(f"bench: {run['scenario']} failed on {run['server']}: {run['failure']}", file=sys.stderr)
    write_all(results, arguments.output)
    return 1 if failed_runs else 0


def allowed(sizes: Sizes, chosen: list[str]) -> tuple[Sizes, list[str]]:
    """As many connections as the limit of open files lets the tool and each server have.

    What that changes of the chosen scenarios is noted.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # More would only make programs slow that go through all of them.
    files = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
    # The children inherit it: a server that does not raise its limit itself is not to fail by it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    connections = min(sizes.connections, files - OTHER_FILES)
    # The old connection of each may still be open when it comes back.
    storm = min(sizes.storm_connections, (files - OTHER_FILES) // 2)
    notes = []
    for name, wanted, got in (("idle", sizes.connections, connections), ("storm", sizes.storm_connections, storm)):
        if got < wanted and any(scenario.startswith(name) for scenario in chosen):
            notes.append(f"The limit of open files, {files}, allows {got} connections in `{name}` instead of {wanted}.")
    return dataclasses.replace(sizes, connections=connections, storm_connections=storm), notes


def plan(arguments: argparse.Namespace, sizes: Sizes, products: dict[str, Product]) -> list[tuple[int, Any, Product]]:
    """Repetition, scenario and server, in the order in which they are run."""
    steps = []
    for repetition in range(1, arguments.repeat + 1):
        # What the machine does over time meets another server each time.
        first = (repetition - 1) % len(arguments.servers)
        order = arguments.servers[first:] + arguments.servers[:first]
        for scenario in scenarios(sizes):
            if scenario.name in arguments.only:
                run_on = order if scenario.of_every_server else [OURS]
                steps += [(repetition, scenario, products[server]) for server in run_on]
    return steps


def remaining(stage: Stage, steps: list[tuple[int, Any, Product]], runs: list[Run]) -> float:
    """Seconds: of each run as long as the same took before, else as guessed."""
    took: dict[str, list[float]] = {}
    for run in runs:
        took.setdefault(run["scenario"], []).append(run["took"])
    return sum(
        statistics.mean(took[scenario.name]) if scenario.name in took else scenario.guess(stage)
        for _, scenario, _ in steps
    )


def duration(seconds: float) -> str:
    """As exact as an estimate is: of the last minutes, tens of seconds."""
    if seconds < 115:
        return f"{max(10, round(seconds / 10) * 10)} s"
    whole = round(seconds / 60)
    return f"{whole // 60} h {whole % 60} min" if whole >= 60 else f"{whole} min"


def summary(run: Run) -> str:
    if run["failure"]:
        return f"failed: {run['failure']}"
    return ", ".join(f"{name} {report.number(value)}" for name, value in run["figures"].items())


def read(path: Path) -> dict[str, Any]:
    """An earlier comparison's results.json."""
    try:
        results = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Failed(f"--render: cannot read {path}: {error}") from None
    if not isinstance(results, dict) or not {"runs", "settings", "machine"} <= results.keys():
        raise Failed(f"--render: {path} is no results.json of this benchmark")
    return results


def write_all(results: dict[str, Any], directory: Path) -> None:
    """Writes what there is, and says what that was."""
    chart = write(results, directory)
    print(f"written: {directory}/RESULTS.md{', results.svg' if chart else ''} and results.json")


def write(results: dict[str, Any], directory: Path) -> bool:
    """Whether there was a chart to write, too."""
    directory.mkdir(parents=True, exist_ok=True)
    runs = ",\n".join(json.dumps(run, ensure_ascii=False) for run in results["runs"])
    head = json.dumps({**results, "runs": []}, ensure_ascii=False, indent=2)
    # A run a line: what differs between two results can be read.
    (directory / "results.json").write_text(head.replace('"runs": []', f'"runs": [\n{runs}\n]') + "\n")
    (directory / "RESULTS.md").write_text(report.document(results, directory))
    try:
        import chart

        chart.draw(results, directory / "results.svg")
    except ModuleNotFoundError as error:
        print(f"bench: no chart: {error}; install load/bench/requirements.txt", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
