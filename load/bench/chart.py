"""results.svg: the main figures as bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from rows import Medians
from servers import BEFORE, OURS, SERVERS

Panel = tuple[str, str, float, list[tuple[str, str, str]]]

# Okabe and Ito's colours, told apart by everybody.
COLOURS = {
    OURS: "#0072b2", BEFORE: "#56b4e9", "socketioxide": "#e69f00", "node-tuned": "#009e73", "node-faithful": "#cc79a7",
}

# Title, unit, scale, and the groups of bars: label, scenario, figure.
PANELS = [
    (
        "Throughput", "messages/s", 1,
        [("256 users ×1", "chat-256x1", "per_s"), ("1000 users ×8", "chat-1000x8", "per_s")],
    ),
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
    ("REST", "requests/s", 1, [("POST", "rest", "post_per_s"), ("GET page 1", "rest", "page_1_per_s")]),
    (
        "CPU of server and Postgres", "µs a request", 1,
        [("POST", "rest", "post_cpu_us"), ("GET page 1", "rest", "page_1_cpu_us")],
    ),
    (
        "Memory of a connection", "KB", 1000,
        [("direct", "idle-direct", "bytes"), ("upgraded", "idle-upgraded", "bytes")],
    ),
    (
        "Storm: ack p99 of the others", "ms", 1,
        [("before", "storm", "p99_before_ms"), ("meanwhile", "storm", "p99_during_ms")],
    ),
]
COLUMNS = 3
# Of a panel, in inches.
WIDTH, HEIGHT = 3.9, 3.3


def draw(results: dict[str, Any], path: Path) -> None:
    # Here: everything else works without it.
    import matplotlib

    matplotlib.use("svg")
    # Of the same figures the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "results", "font.size": 10, "axes.spines.top": False,
                                "axes.spines.right": False})
    from matplotlib import pyplot

    medians = Medians(results["runs"])
    servers = [server for server in SERVERS if server in results["settings"]["servers"]]
    panels = [panel for panel in map(measured(medians), PANELS) if panel[-1]]
    columns = min(COLUMNS, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    # Wide enough for the title and the names of the servers, which stand above and below.
    size = (max(6.5, WIDTH * columns), HEIGHT * rows + 1.4)
    figure, axes = pyplot.subplots(rows, columns, figsize=size, facecolor="white", layout="constrained", squeeze=False)
    for axis in axes.flat[len(panels):]:
        axis.set_visible(False)
    for axis, (title, unit, scale, groups) in zip(axes.flat, panels):
        bars(axis, medians, servers, groups, scale)
        axis.set_title(title, fontsize=12, loc="left", pad=14)
        axis.set_ylabel(unit)
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}")
        axis.grid(axis="y", color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
    handles = [pyplot.Rectangle((0, 0), 1, 1, color=COLOURS[server]) for server in servers]
    figure.legend(handles, servers, loc="outside lower center", ncols=len(servers), frameon=False, fontsize=11)
    about = "medians; the lines are the range of the repetitions" if panels else "nothing of what is drawn was measured"
    figure.suptitle(f"horsetrust-chat and its peers\n{about}", fontsize=14, x=0.15 / size[0], ha="left")
    figure.get_layout_engine().set(h_pad=0.15, w_pad=0.15)
    figure.savefig(path, format="svg", facecolor="white", metadata={"Date": None})
    pyplot.close(figure)


def measured(medians: Medians) -> Callable[[Panel], Panel]:
    """A panel without what was not measured of any server."""
    def without_gaps(panel: Panel) -> Panel:
        title, unit, scale, groups = panel
        return title, unit, scale, [group for group in groups if group[1:] in medians.measured]

    return without_gaps


def bars(axis: Any, medians: Medians, servers: list[str], groups: list[tuple[str, str, str]], scale: float) -> None:
    # No bar is wider than one of three.
    width = 0.8 / max(3, len(servers))
    for place, server in enumerate(servers):
        for group, (_, scenario, name) in enumerate(groups):
            values = [value / scale for value in medians.values(scenario, name, server)]
            if not values:
                continue
            height = medians.value(scenario, name, server) / scale
            middle = group + (place - (len(servers) - 1) / 2) * width
            spread = [[height - min(values)], [max(values) - height]]
            axis.bar(middle, height, width * 0.92, color=COLOURS[server])
            axis.errorbar(middle, height, yerr=spread, color="#333333", linewidth=0.8, capsize=1.5)
            axis.annotate(short(height), (middle, max(values)), ha="center", va="bottom", fontsize=8,
                          xytext=(0, 1), textcoords="offset points")
    axis.set_xticks(range(len(groups)), [label for label, _, _ in groups])
    axis.set_xlim(-0.5, len(groups) - 0.5)


def short(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
