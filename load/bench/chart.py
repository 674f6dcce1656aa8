"""results.svg: the main figures as bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rows import Medians
from servers import OURS, PEERS

# Okabe and Ito's colours, told apart by everybody.
COLOURS = {OURS: "#0072b2", "socketioxide": "#e69f00", "node-tuned": "#009e73", "node-faithful": "#cc79a7"}

# Title, unit, scale, and the groups of bars: label, scenario, figure.
PANELS = [
    ("Throughput", "messages/s", 1, [("256 users ×1", "chat-256x1", "per_s"), ("1000 users ×8", "chat-1000x8", "per_s")]),
    (
        "CPU of server and Postgres", "µs a message", 1,
        [("256 users ×1", "chat-256x1", "cpu_us"), ("1000 users ×8", "chat-1000x8", "cpu_us")],
    ),
    ("Acknowledgement at 1500/s", "ms", 1, [("p50", "rate-1500", "ack_p50_ms"), ("p99", "rate-1500", "ack_p99_ms")]),
    ("Highest rate, p99 below 50 ms", "messages/s", 1, [("", "highest-rate", "per_s")]),
    (
        "CPU of a delivery", "µs of the server", 1,
        [("1000\nsingle", "fanout-1000", "server_cpu_us"), ("1000\nbursts", "fanout-1000-bursts", "server_cpu_us"),
         ("2000\nsingle", "fanout-2000", "server_cpu_us"), ("2000\nbursts", "fanout-2000-bursts", "server_cpu_us")],
    ),
    ("Memory of a connection", "KB", 1000, [("direct", "idle-direct", "bytes"), ("upgraded", "idle-upgraded", "bytes")]),
]


def draw(results: dict[str, Any], path: Path) -> None:
    # Here: everything else works without it.
    import matplotlib

    matplotlib.use("svg")
    # Of the same figures the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "results", "font.size": 9, "axes.spines.top": False,
                                "axes.spines.right": False})
    from matplotlib import pyplot

    medians = Medians(results["runs"])
    servers = [server for server in [OURS, *PEERS] if server in results["settings"]["servers"]]
    figure, axes = pyplot.subplots(2, 3, figsize=(11, 6.4), facecolor="white", layout="constrained")
    for axis, (title, unit, scale, groups) in zip(axes.flat, PANELS):
        bars(axis, medians, servers, groups, scale)
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_ylabel(unit)
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}")
        axis.grid(axis="y", color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=COLOURS[server]) for server in servers]
    figure.legend(handles, servers, loc="outside lower center", ncols=len(servers), frameon=False)
    figure.suptitle("Medians; the lines are the range of the repetitions", fontsize=9, color="#444444")
    figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})
    pyplot.close(figure)


def bars(axis: Any, medians: Medians, servers: list[str], groups: list[tuple[str, str, str]], scale: float) -> None:
    width = 0.8 / len(servers)
    for place, server in enumerate(servers):
        for group, (_, scenario, name) in enumerate(groups):
            values = [value / scale for value in medians.values(scenario, name, server)]
            if not values:
                continue
            height = medians.value(scenario, name, server) / scale
            left = group - 0.4 + (place + 0.5) * width
            spread = [[height - min(values)], [max(values) - height]]
            axis.bar(left, height, width * 0.92, color=COLOURS[server])
            axis.errorbar(left, height, yerr=spread, color="#333333", linewidth=0.8, capsize=1.5)
            axis.annotate(short(height), (left, max(values)), ha="center", va="bottom", fontsize=6.5,
                          xytext=(0, 1), textcoords="offset points")
    axis.set_xticks(range(len(groups)), [label for label, _, _ in groups])
    axis.set_xlim(-0.5, len(groups) - 0.5)


def short(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
