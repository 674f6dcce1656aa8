"""On what, and with what, a comparison was made."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
from pathlib import Path

from servers import ROOT, Postgres


def machine() -> dict[str, str]:
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "CPU": cpu.group(1).strip() if cpu else platform.machine(),
        # Those that it may use, where a container has fewer than the machine.
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory.group(1)) / 1e6:.0f} GB" if memory else "unknown",
        "kernel": f"{platform.system()} {platform.release()}",
        **load(),
    }


def load() -> dict[str, str]:
    """What else the machine does. `make bench` looks before it builds, which is a load of its own."""
    if before := os.environ.get("LOAD_BEFORE_BUILD"):
        return {"load before the build": before}
    return {"load before the first run": f"{os.getloadavg()[0]:.2f}"}


def versions(postgres: Postgres) -> dict[str, str]:
    node = json.loads((ROOT / "load/peers/node/package-lock.json").read_text())["packages"]
    ours, peer = ROOT / "Cargo.lock", ROOT / "load/peers/socketioxide/Cargo.lock"
    return {
        "rustc": said(["rustc", "--version"]).removeprefix("rustc "),
        "Node.js": said(["node", "--version"]).removeprefix("v"),
        "Postgres": postgres.sql("SHOW server_version").strip(),
        **{name: node[f"node_modules/{name}"]["version"] for name in ("socket.io", "express", "pg")},
        **{name: locked(peer, name) for name in ("socketioxide", "axum", "deadpool-postgres")},
        **{name: locked(ours, name) for name in ("actix-web", "tokio-postgres")},
    }


def commit() -> str:
    """The commit of the working tree, marked where it has changes."""
    revision = said(["git", "rev-parse", "--short=12", "HEAD"])
    # What a comparison writes changes nothing of what is compared.
    results = [":!load/RESULTS.md", ":!load/results.json", ":!load/results.svg"]
    return f"{revision} with changes" if said(["git", "status", "--porcelain", "--", ".", *results]) else revision


def identity(binary: Path) -> str:
    """Which binary it was, when another one has its place."""
    return f"`{binary}`, SHA-256 {hashlib.sha256(binary.read_bytes()).hexdigest()[:12]}"


def locked(lock: Path, name: str) -> str:
    version = re.search(rf'name = "{re.escape(name)}"\nversion = "([^"]+)"', lock.read_text())
    return version.group(1) if version else "unknown"


def said(command: list[str]) -> str:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
