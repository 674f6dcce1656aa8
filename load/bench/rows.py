"""The figures that are shown, and what is aimed at."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, Callable

from servers import OURS, PEERS, SERVERS

# A run as it stands in results.json.
Run = dict[str, Any]
HIGHER, LOWER = max, min
Better = Callable[..., float]


@dataclass(frozen=True)
class Row:
    """A figure of a scenario; `better` is missing where none is better."""

    scenario: str
    figure: str
    label: str
    better: Better | None


@dataclass(frozen=True)
class Topic:
    title: str
    about: str
    rows: list[Row]


def messages(scenario: str, label: str) -> list[Row]:
    return [
        Row(scenario, "per_s", f"{label}: messages/s", HIGHER),
        Row(scenario, "server_cpu_us", f"{label}: CPU of the server, µs a message", LOWER),
        Row(scenario, "postgres_cpu_us", f"{label}: CPU of Postgres, µs a message", LOWER),
        Row(scenario, "cpu_us", f"{label}: CPU of both, µs a message", LOWER),
    ]


def fanout(scenario: str, label: str) -> Row:
    return Row(scenario, "server_cpu_us", f"{label}: CPU of the server, µs a delivery", LOWER)


def idle(scenario: str, label: str) -> list[Row]:
    return [
        Row(scenario, "connections", f"{label}: connections", None),
        Row(scenario, "bytes", f"{label}: memory of the server, bytes a connection", LOWER),
        Row(scenario, "connect_cpu_ms", f"{label}: CPU of the server, ms a connect", LOWER),
        Row(scenario, "ping_cpu_us", f"{label}: CPU of the server, µs a ping", LOWER),
    ]


def calls(call: str, label: str) -> list[Row]:
    return [
        Row("rest", f"{call}_per_s", f"{label}: requests/s", HIGHER),
        Row("rest", f"{call}_cpu_us", f"{label}: CPU of server and Postgres, µs a request", LOWER),
    ]


def topics(pages: list[int]) -> list[Topic]:
    """All tables, in their order; `pages` are those of the long conversation that were fetched."""
    deep = [
        Row("deep-pages", f"page{place}_per_s", f"page {page}: requests/s", HIGHER) for place, page in enumerate(pages)
    ]
    return [
        Topic(
            "Throughput",
            "Users in pairs, each with so many messages in flight; the next goes when one is acknowledged.",
            messages("chat-256x1", "256 users, 1 in flight") + messages("chat-1000x8", "1000 users, 8 in flight"),
        ),
        Topic(
            "Latency",
            "Messages that are due at fixed moments; an acknowledgement counts from the moment its message was due. "
            "The highest rate is the one at which 99 of 100 acknowledgements take less than 50 ms, found by doubling "
            "and halving to 7 %; at it, 97 of 100 messages that are due are sent and acknowledged in time. A rate that "
            "fails is tried once more.",
            [
                Row("rate-1500", "ack_p50_ms", "1500/s: ack p50, ms", LOWER),
                Row("rate-1500", "ack_p99_ms", "1500/s: ack p99, ms", LOWER),
                Row("rate-1500", "server_cpu_us", "1500/s: CPU of the server, µs a message", LOWER),
                Row("rate-1500", "postgres_cpu_us", "1500/s: CPU of Postgres, µs a message", LOWER),
                Row("rate-1500", "cpu_us", "1500/s: CPU of both, µs a message", LOWER),
                Row("highest-rate", "per_s", "highest rate, messages/s", HIGHER),
                Row("highest-rate", "generator_cores", "cores that the load generator used at that rate", None),
            ],
        ),
        Topic(
            "Fan-out and typing",
            "One room of many sockets, to which one of them speaks: 10 single messages a second, or 2 bursts of 10. A "
            "delivery is an event to one socket. Typing is relayed to one other socket and stored nowhere.",
            [
                fanout("fanout-1000", "1000 sockets, single"),
                fanout("fanout-1000-bursts", "1000 sockets, bursts"),
                fanout("fanout-2000", "2000 sockets, single"),
                fanout("fanout-2000-bursts", "2000 sockets, bursts"),
                Row("typing", "server_cpu_us", "typing, 5000/s: CPU of the server, µs an event", LOWER),
                Row("typing", "dropped", "typing: events dropped", LOWER),
            ],
        ),
        Topic(
            "REST",
            "64 connections, one call after the other on each; posts go to 32 conversations, pages are of one. "
            "Deep pages are those of a conversation of 200,000 messages, all read, 30 in a page.",
            calls("post", "POST a message") + calls("page_1", "GET page 1") + deep
            + [Row("deep-pages", "spread", "fastest of these pages over slowest", LOWER)],
        ),
        Topic(
            "Connections",
            "Connections that say nothing, by WebSocket from the start or upgraded from polling. Storm: all drop at "
            "once and come back while 32 other users go on talking. How many seconds it takes until all are back is "
            "shown, but is no goal: this server lets new sessions in at a bounded rate, 4,000 a second for each "
            "worker, so that those who stayed are served in between (`src/http/door.rs`).",
            idle("idle-direct", "direct") + idle("idle-upgraded", "upgraded") + [
                Row("storm", "connections", "storm: connections", None),
                Row("storm", "missing", "storm: not back", LOWER),
                Row("storm", "refused", "storm: messages of others refused", LOWER),
                Row("storm", "seconds", "storm: seconds until all are back", LOWER),
                Row("storm", "p99_before_ms", "storm: ack p99 of the others before, ms", LOWER),
                Row("storm", "p99_during_ms", "storm: ack p99 of the others meanwhile, ms", LOWER),
                Row("storm", "p99_ratio", "storm: meanwhile over before", LOWER),
            ],
        ),
        Topic(
            "An ordinary day",
            "2000 listeners, 200 talkers, 200 messages, 50 pages and 20 reconnects a second.",
            [
                Row("mixed", "server_cpu_percent", "CPU of the server, % of a core", LOWER),
                Row("mixed", "postgres_cpu_percent", "CPU of Postgres, % of a core", LOWER),
            ],
        ),
    ]


class Medians:
    """Medians over the repetitions that did not fail."""

    def __init__(self, runs: list[Run]) -> None:
        self._values: dict[tuple[str, str, str], list[float]] = {}
        self._failed: dict[tuple[str, str], int] = {}
        self.scenarios = {run["scenario"] for run in runs}
        # By scenario and figure, of whichever server.
        self.measured = {(run["scenario"], figure) for run in runs for figure in run["figures"]}
        for run in runs:
            scenario, server = run["scenario"], run["server"]
            if run["failure"]:
                self._failed[scenario, server] = self._failed.get((scenario, server), 0) + 1
            for figure, value in run["figures"].items():
                self._values.setdefault((scenario, figure, server), []).append(value)

    def values(self, scenario: str, figure: str, server: str) -> list[float]:
        return self._values.get((scenario, figure, server), [])

    def value(self, scenario: str, figure: str, server: str) -> float | None:
        values = self.values(scenario, figure, server)
        return statistics.median(values) if values else None

    def failed(self, scenario: str, server: str) -> int:
        """How many runs failed."""
        return self._failed.get((scenario, server), 0)

    def best_peer(self, scenario: str, figure: str, better: Better) -> str | None:
        others = (server for server in SERVERS if server != OURS)
        known = {peer: value for peer in others if (value := self.value(scenario, figure, peer)) is not None}
        return better(known, key=known.get) if known else None

    def ratio(self, scenario: str, figure: str, peer: str | None) -> float | None:
        """This server's figure over a peer's."""
        if peer is None:
            return None
        ours, theirs = self.value(scenario, figure, OURS), self.value(scenario, figure, peer)
        return ours / theirs if ours is not None and theirs else None


@dataclass(frozen=True)
class Goal:
    """Something aimed at; `reached` says how far, and whether it is: None where it was not measured.

    `against` are the servers of which one has to be there to tell; none where the figure tells by itself.
    """

    what: str
    aim: str
    scenario: str
    reached: Callable[[Medians], tuple[str, bool | None]]
    against: tuple[str, ...] = ()

    def was_chosen(self, medians: Medians, servers: list[str]) -> bool:
        has_peer = not self.against or any(server in self.against for server in servers)
        return self.scenario in medians.scenarios and has_peer and OURS in servers


def judged(
    shown: Callable[[float], str], value: float | None, holds: Callable[[float], bool]
) -> tuple[str, bool | None]:
    return ("–", None) if value is None else (shown(value), holds(value))


def times(value: float) -> str:
    return f"{value:.2f} ×"


def than_better(what: str, scenario: str, figure: str, factor: float, better: Better) -> Goal:
    """At least so many times the better peer's rate, or at most such a share of its cost."""
    def reached(medians: Medians) -> tuple[str, bool | None]:
        value = medians.ratio(scenario, figure, medians.best_peer(scenario, figure, better))
        return judged(times, value, lambda value: value >= factor if better is HIGHER else value <= factor)

    aim = f"{'≥' if better is HIGHER else '≤'} {factor:g} × the better peer"
    return Goal(what, aim, scenario, reached, tuple(PEERS))


def than_socketioxide(what: str, scenario: str, figure: str, factor: float) -> Goal:
    def reached(medians: Medians) -> tuple[str, bool | None]:
        return judged(times, medians.ratio(scenario, figure, "socketioxide"), lambda value: value <= factor)

    aim = f"≤ {factor:g} × socketioxide" if factor != 1 else "≤ socketioxide"
    return Goal(what, aim, scenario, reached, ("socketioxide",))


def at_most(what: str, scenario: str, figure: str, limit: float, aim: str, unit: str, scale: float = 1) -> Goal:
    def reached(medians: Medians) -> tuple[str, bool | None]:
        value = medians.value(scenario, figure, OURS)
        return judged(lambda value: f"{value / scale:.3g}{unit}", value, lambda value: value <= limit)

    return Goal(what, aim, scenario, reached)


def less_than(what: str, scenario: str, figure: str, limit: float, aim: str) -> Goal:
    def reached(medians: Medians) -> tuple[str, bool | None]:
        return judged(times, medians.value(scenario, figure, OURS), lambda value: value < limit)

    return Goal(what, aim, scenario, reached)


def none_ever(what: str, scenario: str, figure: str) -> Goal:
    """In no run, not only in the middle one."""
    def reached(medians: Medians) -> tuple[str, bool | None]:
        values = medians.values(scenario, figure, OURS)
        return judged(lambda value: f"{value:.0f}", max(values, default=None), lambda value: value == 0)

    return Goal(what, "none", scenario, reached)


def goals() -> list[Goal]:
    fanouts = [(f"fanout-{n}{kind}", f"fan-out to {n} sockets, {label}") for n in (1000, 2000)
               for kind, label in (("", "single"), ("-bursts", "bursts"))]
    return [
        than_better("messages/s, 256 users, 1 in flight", "chat-256x1", "per_s", 3, HIGHER),
        than_better("messages/s, 1000 users, 8 in flight", "chat-1000x8", "per_s", 4, HIGHER),
        at_most("CPU of a message, server and Postgres, 1 in flight", "chat-256x1", "cpu_us", 60, "≤ 60 µs", " µs"),
        at_most("CPU of a message, server and Postgres, 8 in flight", "chat-1000x8", "cpu_us", 40, "≤ 40 µs", " µs"),
        than_better("ack p99 at 1500 messages/s", "rate-1500", "ack_p99_ms", 0.5, LOWER),
        than_better("highest rate with ack p99 below 50 ms", "highest-rate", "per_s", 4, HIGHER),
        *(than_socketioxide(f"CPU of a delivery, {label}", name, "server_cpu_us", 0.6) for name, label in fanouts),
        than_socketioxide("CPU of a typing event", "typing", "server_cpu_us", 0.6),
        than_better("POST, requests/s", "rest", "post_per_s", 2, HIGHER),
        than_better("POST, CPU of server and Postgres", "rest", "post_cpu_us", 0.5, LOWER),
        than_better("GET page 1, requests/s", "rest", "page_1_per_s", 2, HIGHER),
        than_better("GET page 1, CPU of server and Postgres", "rest", "page_1_cpu_us", 0.5, LOWER),
        at_most("deep pages, fastest over slowest", "deep-pages", "spread", 2, "≤ 2 ×", " ×"),
        at_most("memory of a connection, direct", "idle-direct", "bytes", 10_000, "≤ 10 KB", " KB", 1000),
        at_most("memory of a connection, upgraded", "idle-upgraded", "bytes", 26_000, "≤ 26 KB", " KB", 1000),
        than_socketioxide("CPU of a connect, direct", "idle-direct", "connect_cpu_ms", 1),
        than_socketioxide("CPU of a connect, upgraded", "idle-upgraded", "connect_cpu_ms", 1),
        than_socketioxide("CPU of a ping, direct", "idle-direct", "ping_cpu_us", 1),
        than_socketioxide("CPU of a ping, upgraded", "idle-upgraded", "ping_cpu_us", 1),
        none_ever("storm, connections that are not back", "storm", "missing"),
        none_ever("storm, messages of others refused", "storm", "refused"),
        less_than("storm, ack p99 of others meanwhile over before", "storm", "p99_ratio", 4, "< 4 ×"),
    ]
