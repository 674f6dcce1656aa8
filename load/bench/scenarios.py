"""What is run against each server, and which figures come of it."""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass, field
from typing import Any, Callable

import fill
from servers import Failed, Product, Server
from stage import Outcome, Sizes, Stage, Wrong

Figures = dict[str, float]
# A share of a core from which on the generator, one thread, counts as the limit.
GENERATOR_BUSY = 0.9
# In actors/src/limits.rs: `LANES` of a worker, and `WORKERS_OF_ONE_LANE`.
LANES = 2
WORKERS_OF_ONE_LANE = 5
BATCHES = (1, 16, 64)


def lanes(cores: int) -> int:
    """How many batches the server commits at the same time, with as many workers as it has by default."""
    workers = -(-cores // 2)
    return workers * (LANES if workers < WORKERS_OF_ONE_LANE else 1)


@dataclass
class Measured:
    """What one run of a scenario found."""

    figures: Figures
    outcomes: list[Outcome] = field(default_factory=list)


def cost(outcome: Outcome) -> Figures:
    """CPU of an operation, in microseconds."""
    each = {name: outcome["processes"][name].get("cpu_us_per_op") for name in ("server", "postgres")}
    # No operation at all: nothing to divide by.
    known = {f"{name}_cpu_us": value for name, value in each.items() if value is not None}
    return {**known, "cpu_us": sum(known.values())} if len(known) == 2 else known


def of_messages(outcome: Outcome) -> Figures:
    figures = {"per_s": outcome["figures"]["sends_per_s"], **cost(outcome)}
    if ack := outcome["latencies"].get("ack"):
        figures |= {"ack_p50_ms": ack["p50_ms"], "ack_p99_ms": ack["p99_ms"]}
    if stats := outcome.get("stats"):
        figures["batch"] = stats["messages_committed"] / max(1, stats["batches_committed"])
    return figures


def of_deliveries(outcome: Outcome) -> Figures:
    return {"per_s": outcome["figures"]["deliveries_per_s"], **cost(outcome)}


def of_typing(outcome: Outcome) -> Figures:
    found = outcome["figures"]
    return {"per_s": found["relayed_per_s"], "dropped": found["typing_dropped"], **cost(outcome)}


def of_calls(outcome: Outcome) -> Figures:
    found, figures = outcome["figures"], {}
    for call in ("post", "page_1"):
        figures[f"{call}_per_s"] = found[f"{call}_per_s"]
        figures[f"{call}_cpu_us"] = found[f"{call}_server_cpu_us"] + found[f"{call}_postgres_cpu_us"]
    return figures


def of_pages(pages: tuple[int, ...]) -> Callable[[Outcome], Figures]:
    def figures(outcome: Outcome) -> Figures:
        # By their order: the page that is deepest differs between sizes, its place in the table does not.
        rates = [outcome["figures"][f"page_{page}_per_s"] for page in pages]
        return {f"page{place}_per_s": rate for place, rate in enumerate(rates)} | {"spread": max(rates) / min(rates)}

    return figures


def of_idle(outcome: Outcome) -> Figures:
    found = outcome["figures"]
    figures = {
        "connections": found["connections"],
        "bytes": outcome["processes"]["server"]["rss_growth_bytes_per_connection"],
        "connect_cpu_ms": found["server_cpu_ms_per_connect"],
    }
    if (ping := found.get("server_cpu_us_per_ping")) is not None:
        figures["ping_cpu_us"] = ping
    return figures


def of_storm(outcome: Outcome) -> Figures:
    found = outcome["figures"]
    return {
        "connections": found["connections"],
        "missing": found["connections"] - found["connections_back"],
        "refused": sum(outcome["refusals"].values()),
        "seconds": found["seconds_until_all_are_back"],
        "p99_before_ms": found["ack_p99_ms_before"],
        "p99_during_ms": found["ack_p99_ms_during"],
        "p99_ratio": found["ack_p99_ratio"],
    }


def of_day(outcome: Outcome) -> Figures:
    used = {name: 100 * outcome["processes"][name]["cpu_s"] / outcome["seconds"] for name in ("server", "postgres")}
    return {f"{name}_cpu_percent": value for name, value in used.items()}


@dataclass(frozen=True)
class Scenario:
    """One run of chat-load against a server that was just started."""

    name: str
    arguments: list[str]
    figures: Callable[[Outcome], Figures]
    # Of the measured time; the stage's where it is None.
    seconds: float | None = None
    # How often the measured time is spent: once for each kind of call.
    phases: int = 1

    of_every_server = True

    def guess(self, stage: Stage) -> float:
        """How many seconds a run may take, for the first estimate of the time that remains."""
        return ((self.seconds or stage.seconds) + stage.sizes.warmup) * self.phases + 4

    def template(self, stage: Stage, product: Product) -> str:
        """The database of which the server gets a copy: an empty one."""
        return "template1"

    def run(self, stage: Stage, product: Product) -> Measured:
        with stage.serve(product, self.template(stage, product)) as server:
            _, outcome = stage.load(server, self.arguments, self.seconds or stage.seconds)
        return Measured(self.figures(outcome), [outcome])


@dataclass(frozen=True)
class DeepPages(Scenario):
    """Pages of a long conversation: stored once, then copied for each run."""

    def template(self, stage: Stage, product: Product) -> str:
        return fill.long_conversation(stage.postgres, product, stage.secret, stage.sizes.stored)


@dataclass(frozen=True)
class HighestRate:
    """The highest rate of messages at which 99 of 100 acknowledgements take less than 50 ms."""

    name: str = "highest-rate"
    of_every_server = True

    def guess(self, stage: Stage) -> float:
        return 15 * (stage.sizes.probe_seconds + stage.sizes.warmup + 2)

    def run(self, stage: Stage, product: Product) -> Measured:
        held: list[Outcome] = []
        # The generator's share of a core, at each rate.
        generator: dict[int, float] = {}
        servers = Restarted(stage, product)

        def probe(rate: int) -> bool:
            rules = ["--threshold", "ack.p99<50ms", "--threshold", f"sends_per_s>={0.97 * rate}", "--patience", "3"]
            server = servers.current()
            try:
                is_held, outcome = stage.load(server, ["rate", "--rate", str(rate)], stage.sizes.probe_seconds, *rules)
            except Wrong as wrong:
                servers.stop()
                if not wrong.is_only_late:
                    raise
                # Swamped: what was under way did not come in time.
                return False
            generator[rate] = outcome["processes"]["load"]["cpu_s"] / outcome["seconds"]
            if is_held:
                held.append(outcome)
            else:
                # What it has not answered yet would be the next probe's burden.
                servers.stop()
            return is_held

        def holds(rate: int) -> bool:
            # Twice: a disk that stalls once for 50 ms is not the server's limit.
            return probe(rate) or probe(rate)

        try:
            rate = find_highest(holds, first=1000, cap=stage.sizes.highest_rate)
        finally:
            servers.stop()
        if rate == 0:
            raise Failed("no rate was held")
        next_above = min((tried for tried in generator if tried > rate), default=rate)
        figures = {
            "per_s": float(rate),
            "generator_cores": generator[rate],
            "generator_is_limit": float(max(generator[rate], generator[next_above]) > GENERATOR_BUSY),
        }
        return Measured(figures, held)


class Restarted:
    """A server that is started when it is needed and not there."""

    def __init__(self, stage: Stage, product: Product) -> None:
        self._stage, self._product = stage, product
        self._stack = contextlib.ExitStack()
        self._server: Server | None = None

    def current(self) -> Server:
        if self._server is None:
            self._server = self._stack.enter_context(self._stage.serve(self._product))
        return self._server

    def stop(self) -> None:
        self._server = None
        self._stack.close()


def find_highest(holds: Callable[[int], bool], first: int, cap: int, precision: float = 0.07) -> int:
    """The highest rate that holds, up to a share of it: doubles until one fails, then halves the gap. 0: none."""
    good, bad = 0, first
    while bad <= cap and holds(bad):
        if bad == cap:
            return cap
        good, bad = bad, min(cap, 2 * bad)
    while bad - good > max(1, precision * good) and bad > first / 20:
        middle = (good + bad) // 2
        if holds(middle):
            good = middle
        else:
            bad = middle
    return good


@dataclass(frozen=True)
class PostgresAlone:
    """What Postgres itself can do: rows of this server's tables, in batches, from a client that does nothing else."""

    name: str = "postgres-alone"
    of_every_server = False

    def guess(self, stage: Stage) -> float:
        return len(BATCHES) * (stage.seconds + stage.sizes.warmup + 2)

    def run(self, stage: Stage, product: Product) -> Measured:
        clients = lanes(len(os.sched_getaffinity(0)))
        template = fill.empty_conversations(stage.postgres, product, stage.secret, clients)
        figures: Figures = {}
        for batch in BATCHES:
            stage.postgres.fresh("alone", template)
            script = stage.postgres.directory / "batch.sql"
            script.write_text(fill.batch_script(batch))
            stage.postgres.pgbench("alone", script, clients, stage.sizes.warmup)
            before = stage.postgres.cpu_seconds()
            said = stage.postgres.pgbench("alone", script, clients, stage.seconds)
            # Its connections end just after it does.
            time.sleep(0.2)
            rows = batch * int(found(r"transactions actually processed: (\d+)", said))
            figures[f"batch{batch}_per_s"] = batch * float(found(r"tps = ([\d.]+)", said))
            figures[f"batch{batch}_cpu_us"] = (stage.postgres.cpu_seconds() - before) * 1e6 / rows
        return Measured(figures)


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise Failed(f"pgbench said nothing of {pattern!r}: {text[-300:]}")
    return match.group(1)


def scenarios(sizes: Sizes) -> list[Any]:
    """All of them, in the order in which they are run."""
    def chat(users: int, in_flight: int) -> list[str]:
        return ["chat", "--users", str(users), "--in-flight", str(in_flight)]

    def fanout(sockets: int, burst: int, rate: int) -> list[str]:
        return ["fanout", "--sockets", str(sockets), "--burst", str(burst), "--rate", str(rate)]

    idle = ["idle", "--connections", str(sizes.connections)]
    pages = ["--pages", ",".join(map(str, sizes.pages))]
    talk = ["--idle", str(sizes.listeners), "--talkers", str(sizes.talkers)]
    return [
        Scenario("chat-256x1", chat(sizes.few_users, 1), of_messages),
        Scenario("chat-1000x8", chat(sizes.many_users, 8), of_messages),
        Scenario("rate-1500", ["rate", "--rate", str(sizes.rate)], of_messages),
        HighestRate(),
        Scenario("fanout-1000", fanout(sizes.sockets, 1, 10), of_deliveries),
        Scenario("fanout-1000-bursts", fanout(sizes.sockets, 10, 2), of_deliveries),
        Scenario("fanout-2000", fanout(sizes.more_sockets, 1, 10), of_deliveries),
        Scenario("fanout-2000-bursts", fanout(sizes.more_sockets, 10, 2), of_deliveries),
        Scenario("typing", ["typing", "--rate", str(sizes.typing)], of_typing),
        Scenario("rest", ["rest", "--concurrency", "64", "--pages", "1"], of_calls, phases=2),
        DeepPages(
            "deep-pages", ["rest", "--concurrency", "64", "--no-post", *pages], of_pages(sizes.pages),
            phases=len(sizes.pages),
        ),
        Scenario("idle-direct", idle, of_idle, sizes.idle_seconds),
        Scenario("idle-upgraded", [*idle, "--transport", "upgrade"], of_idle, sizes.idle_seconds),
        Scenario("storm", ["storm", "--connections", str(sizes.storm_connections)], of_storm),
        Scenario("mixed", ["mixed", *talk], of_day),
        PostgresAlone(),
    ]
