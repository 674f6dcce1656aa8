"""Where scenarios are run, and how much of everything there is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ContextManager

from servers import Failed, Postgres, Product, Server, run, running

# What `chat-load --json` writes.
Outcome = dict[str, Any]

# Making users and conversations, which the slowest server needs for ten thousand of them.
SETUP_SECONDS = 180


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    few_users: int = 256
    many_users: int = 1000
    rate: int = 1500
    # Where the search for the highest rate ends.
    highest_rate: int = 60_000
    sockets: int = 1000
    more_sockets: int = 2000
    typing: int = 5000
    stored: int = 200_000
    pages: tuple[int, ...] = (1, 100, 1000, 6000)
    connections: int = 10_000
    # Longer than the 25 s between two pings, so that each connection answers one.
    idle_seconds: float = 30
    storm_connections: int = 10_000
    listeners: int = 2000
    talkers: int = 200
    warmup: float = 2
    probe_seconds: float = 3


SMALL = Sizes(
    few_users=32, many_users=64, rate=300, highest_rate=2000, sockets=100, more_sockets=200, typing=500, stored=5000,
    pages=(1, 20, 100, 160), connections=200, idle_seconds=2, storm_connections=200, listeners=100, talkers=20,
    warmup=0.5, probe_seconds=1,
)


class Wrong(Failed):
    """Messages were lost, repeated, reordered or altered."""

    def __init__(self, verdict: dict[str, Any]) -> None:
        super().__init__(f"{verdict['count']} violations, the first: {verdict['violations'][0]}")
        # What was still under way when the patience ended.
        self.is_only_late = verdict["lost"] == verdict["count"]


@dataclass
class Stage:
    """Where a scenario is run."""

    postgres: Postgres
    tool: Path
    secret: str
    seconds: float
    sizes: Sizes

    def serve(self, product: Product, template: str = "template1") -> ContextManager[Server]:
        return running(product, self.postgres, self.secret, template)

    def load(self, server: Server, arguments: list[str], seconds: float, *more: str) -> tuple[bool, Outcome]:
        """One run of chat-load; whether its thresholds hold, and what it found."""
        path = self.postgres.directory / "outcome.json"
        path.unlink(missing_ok=True)
        command = [
            str(self.tool), *arguments, "--url", server.url, "--duration", str(seconds),
            "--warmup", str(self.sizes.warmup), "--process", f"server={server.pid}",
            "--process", f"postgres={self.postgres.pid}+", "--json", str(path), "--no-progress", *more,
        ]
        limit = SETUP_SECONDS + 10 * seconds
        failure = None
        try:
            run(command, self.postgres.directory, limit, {"JWT_SECRET": self.secret})
        except Failed as failed:
            failure = failed
        said = path.read_text() if path.exists() else ""
        outcome: Outcome = json.loads(said) if said else {}
        # The run could not be made.
        if not outcome or "error" in outcome:
            raise Failed(outcome.get("error") or reason_of(failure)) from None
        verdict = outcome["verdict"]
        if not verdict["ok"]:
            raise Wrong(verdict)
        # A second each is in the tool's own page; here it would only make the file long.
        outcome.pop("timeline", None)
        if server.product.is_ours:
            outcome["stats"] = server.stats()
        return all(threshold["holds"] for threshold in outcome["thresholds"]), outcome


def reason_of(failure: Failed | None) -> str:
    """The tool's own words, without the command that it was."""
    text = str(failure).strip().splitlines() or ["no outcome was written"]
    said = [line for line in text if "chat-load: " in line]
    return (said[-1].split("chat-load: ", 1)[1] if said else text[-1])[:300]
