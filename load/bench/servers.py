"""What is measured: a private Postgres, and on it one server at a time."""

from __future__ import annotations

import base64
import contextlib
import glob
import hashlib
import hmac
import json
import os
import pwd
import re
import shutil
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parents[2]
SCHEMA_OF_PEERS = ROOT / "load/peers/schema.sql"
OURS = "horsetrust-chat"
PEERS = ["socketioxide", "node-tuned", "node-faithful"]
# Another binary of this server, which `--before` names: it takes the peers' place.
BEFORE = "before"
# In the order of the tables' columns, too.
SERVERS = [OURS, BEFORE, *PEERS]
ROLE = "bench"
START_SECONDS = 30
# A server may take so long to answer what it accepted; ours allows itself 20 s.
STOP_SECONDS = 30


class Failed(Exception):
    """A run, or the start of what it needs, failed; the text says why."""


@dataclass(frozen=True)
class Product:
    """A server as it is started."""

    name: str
    command: list[str]
    environment: dict[str, str]

    @property
    def is_ours(self) -> bool:
        return self.name in (OURS, BEFORE)


def products(binaries: Path, peer_binaries: Path, before: Path | None = None) -> dict[str, Product]:
    """All servers by name."""
    node = str(ROOT / "load/peers/node")
    # Port 0: a free one.
    free = {"PORT": "0"}
    # Counted as ever, and beyond what is asked for.
    rates = {name: "1000000" for name in ("RATE_SENDS", "RATE_TYPING", "RATE_JOINS", "RATE_REST")}
    ours = {OURS: binaries / OURS, **({BEFORE: before} if before else {})}
    all_products = [
        *(Product(name, [str(binary), "serve", "--port", "0", "--log", "warn"],
                  {**rates, "CONNECTIONS_PER_ADDRESS": "1000000"}) for name, binary in ours.items()),
        Product("socketioxide", [str(peer_binaries / "peer-socketioxide")], free),
        Product("node-tuned", ["node", f"{node}/tuned.js"], {**free, "NODE_ENV": "production"}),
        Product("node-faithful", ["node", f"{node}/faithful.js"], {**free, "NODE_ENV": "production"}),
    ]
    return {product.name: product for product in all_products}


def check_built(programs: list[str]) -> None:
    """Before hours go by."""
    for program in programs:
        if shutil.which(program) is None:
            raise Failed(f"there is no program {program}: `make bench` builds and installs all that is needed")


class Postgres:
    """A Postgres with default settings, reached by a Unix socket in its directory and not otherwise."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._data = directory / "postgres"
        # As root, Postgres refuses to run: it runs as its own user.
        self._as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

    def start(self) -> None:
        if self._as_owner:
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        # One locale, whatever the environment's is.
        initdb = ["-D", self._data, "-A", "trust", "-U", ROLE, "-E", "UTF8", "--locale=C", "--no-instructions"]
        self._own("initdb", *initdb)
        options = f"-k {self.directory} -c listen_addresses=''"
        log = self.directory / "postgres.log"
        self._own("pg_ctl", "-D", self._data, "-l", log, "-o", options, "-t", START_SECONDS, "-w", "start")

    def stop(self) -> None:
        """Nothing in it is wanted any more: it need not write what is in memory."""
        if (self._data / "postmaster.pid").exists():
            self._own("pg_ctl", "-D", self._data, "-m", "immediate", "-t", STOP_SECONDS, "-w", "stop")

    @property
    def pid(self) -> int:
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def url(self, database: str) -> str:
        return f"postgres://{ROLE}@/{database}?host={self.directory}"

    def sql(self, statements: str, database: str = "postgres") -> str:
        """Runs statements; what they answer, unaligned."""
        return self._client("psql", database, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statements)

    def sql_file(self, path: Path, database: str) -> None:
        self._client("psql", database, "-qX", "-v", "ON_ERROR_STOP=1", "-f", str(path))

    def pgbench(self, database: str, script: Path, clients: int, seconds: float) -> str:
        # As many threads as clients: one that waits holds up none.
        options = ["-n", "-M", "prepared", "-c", str(clients), "-j", str(clients), "-T", str(max(1, round(seconds)))]
        return self._client("pgbench", database, *options, "-f", str(script), limit=seconds + 60)

    def fresh(self, database: str, template: str = "template1") -> None:
        """A database as new, and nothing of the run before left to be written during the next."""
        self.sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        self.sql(f"CREATE DATABASE {database} TEMPLATE {template}")
        self.sql("CHECKPOINT")

    def has(self, database: str) -> bool:
        return self.sql(f"SELECT count(*) FROM pg_database WHERE datname = '{database}'").strip() == "1"

    def cpu_seconds(self) -> float:
        """Of all its processes so far, those that have ended included."""
        pids, ticks = [self.pid], 0
        while pids:
            pid = pids.pop()
            with contextlib.suppress(OSError):
                # proc(5): user and system time, then the same of children that ended.
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
                ticks += sum(int(field) for field in fields[11:15])
                pids += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return ticks / os.sysconf("SC_CLK_TCK")

    def _own(self, program: str, *arguments: object) -> str:
        return run([*self._as_owner, postgres_program(program), *map(str, arguments)], self.directory, 120)

    def _client(self, program: str, database: str, *arguments: str, limit: float = 600) -> str:
        place = ["-h", str(self.directory), "-U", ROLE]
        # psql and pgbench take the database last.
        return run([postgres_program(program), *place, *arguments, database], self.directory, limit)


def postgres_program(name: str) -> str:
    """Where a program of Postgres is: distributions keep most of them out of PATH."""
    newest_first = sorted(glob.glob("/usr/lib/postgresql/*/bin") + glob.glob("/usr/pgsql-*/bin"), reverse=True)
    for directory in [*os.environ.get("PATH", "").split(":"), *newest_first]:
        # All from where initdb is: of one version.
        if os.access(f"{directory}/initdb", os.X_OK) and os.access(f"{directory}/{name}", os.X_OK):
            return f"{directory}/{name}"
    raise Failed(f"there is no {name}: install Postgres with its contributed programs (scripts/ensure.sh postgres)")


def run(command: list[str], directory: Path, limit: float, environment: dict[str, str] | None = None) -> str:
    """Runs a program to its end; what it wrote to standard output."""
    # A session of its own: Ctrl-C is for the benchmark, which then ends what it started in order. No pipes: a daemon
    # that is started keeps them open.
    with open(directory / "out", "w+") as out, open(directory / "err", "w+") as err:
        try:
            done = subprocess.run(
                command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                timeout=limit, start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{Path(command[0]).name} took longer than {limit:.0f} s") from None
        except OSError as error:
            raise Failed(f"cannot run {command[0]}: {error}") from None
        out.seek(0)
        err.seek(0)
        if done.returncode != 0:
            said = (err.read() + out.read()).strip()
            raise Failed(f"{' '.join(command[:6])} … failed ({done.returncode}): {said[-500:]}")
        return out.read()


@dataclass
class Server:
    """One that listens."""

    product: Product
    process: subprocess.Popen[bytes]
    url: str
    database: str
    secret: str

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def stats(self) -> dict[str, float]:
        """What this server, not a peer, tells operators."""
        headers = {"Authorization": f"Bearer {admin_token(self.secret)}"}
        request = urllib.request.Request(f"{self.url}/api/chat/admin/stats", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)["data"]


def environment_of(product: Product, postgres: Postgres, database: str, secret: str) -> dict[str, str]:
    """Of a server: only what it needs, so that no setting of the caller's shell changes what is measured."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "DATABASE_URL": postgres.url(database), "JWT_SECRET": secret, **product.environment}


@contextlib.contextmanager
def running(product: Product, postgres: Postgres, secret: str, template: str = "template1") -> Iterator[Server]:
    """A server on a database of its own, as new or as a template is; stopped at the end."""
    database = "of_" + product.name.replace("-", "_")
    postgres.fresh(database, template)
    log = postgres.directory / "server.log"
    with open(log, "wb") as output:
        # In the private directory: no configuration file lies there.
        process = subprocess.Popen(
            product.command, cwd=postgres.directory, env=environment_of(product, postgres, database, secret),
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )
    server = Server(product, process, "", database, secret)
    try:
        server.url = wait_until_it_listens(process, log)
        yield server
    finally:
        server.stop()


def wait_until_it_listens(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        said = log.read_text(errors="replace")
        if address := re.search(r"listening on (http://\S+)", said):
            return address.group(1)
        if process.poll() is not None:
            raise Failed(f"the server ended at its start: {said.strip()[-500:]}")
        time.sleep(0.05)
    raise Failed(f"the server did not listen within {START_SECONDS} s")


def admin_token(secret: str) -> str:
    """A JSON Web Token (HS256) of role admin."""
    def part(value: bytes) -> bytes:
        return base64.urlsafe_b64encode(value).rstrip(b"=")

    now = int(time.time())
    claims = {"userId": "f" * 24, "role": "admin", "iat": now, "exp": now + 600}
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + part(signature)).decode()
