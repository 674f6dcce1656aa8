"""A running horsetrust-chat: the built binary on a data directory of its own, ended and removed by `close`."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import jwt
import requests

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("HORSETRUST_CHAT_BIN", str(REPOSITORY / "target/debug/horsetrust-chat"))
SECRET = "a secret of the python tests, long enough for HS256"
# Set by whoever runs the tests, they would reach the server under test.
INHERITED = {
    "CHAT_PAGE",
    "CONFIG_FILE",
    "CONNECTIONS",
    "CONNECTIONS_PER_ADDRESS",
    "CORS_ORIGINS",
    "DATABASE_URL",
    "DATA_DIR",
    "DRAIN_SECONDS",
    "HOST",
    "JWT_KEYS",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "PORT",
    "RATE_JOINS",
    "RATE_REST",
    "RATE_SENDS",
    "RATE_TYPING",
    "RECOVERY_SECONDS",
    "ROOM_IDLE_SECONDS",
    "TRUSTED_PROXIES",
    "WORKERS",
}
START_SECONDS = 180
STOP_SECONDS = 30
REST_SECONDS = 30


def new_id():
    """An ObjectId nobody else has: 24 lower-case hex characters."""
    return secrets.token_hex(12)


def make_token(user_id, role="seller", ttl=3600, secret=SECRET, algorithm="HS256", **claims):
    now = int(time.time())
    body = {"userId": user_id, "role": role, "iat": now, "exp": now + ttl, **claims}
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(body, secret, algorithm=algorithm)


class Person:
    """A user with a profile on the server, and the REST calls made in that user's name."""

    def __init__(self, server, user_id, full_name, picture):
        self.server = server
        self.id = user_id
        self.full_name = full_name
        self.picture = picture
        self.token = make_token(user_id)

    @property
    def profile(self):
        return {"_id": self.id, "full_name": self.full_name, "profile_picture_url": self.picture}

    def rest(self, method, path, **kwargs):
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.request(method, self.server.url + path, headers=headers, timeout=REST_SECONDS, **kwargs)

    def conversation_with(self, other, **body):
        reply = self.rest("POST", "/api/chat/conversations", json={"recipient_id": other.id, **body})
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]["_id"]

    def history(self, conversation, **query):
        reply = self.rest("GET", f"/api/chat/conversations/{conversation}/messages", params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()["data"]

    def post(self, conversation, text):
        return self.rest("POST", f"/api/chat/conversations/{conversation}/messages", json={"text": text})


class ChatServer:
    def __init__(self, **settings):
        self.settings = settings
        self.directory = Path(tempfile.mkdtemp(prefix="ht-py-", dir="/tmp"))
        # The server drops Postgres to an unprivileged user, which has to be able to walk in.
        self.directory.chmod(0o755)
        self.log = self.directory / "server.log"
        self.port = 0
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        environment = {name: value for name, value in os.environ.items() if name not in INHERITED}
        environment["JWT_SECRET"] = SECRET
        # Two, so that what crosses from worker to worker is tested on every machine.
        environment["WORKERS"] = "2"
        environment.update(self.settings)
        command = [BINARY, "serve", "--port", str(self.port), "--data-dir", str(self.directory / "data")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.port = int(self._first_line().rstrip("/").rsplit(":", 1)[1])
        return self

    def _first_line(self):
        # Killing it ends a wait for a line which never comes; a finished start cancels that.
        timer = threading.Timer(START_SECONDS, self.process.kill)
        timer.start()
        line = self.process.stdout.readline().strip()
        timer.cancel()
        if not line.startswith("horsetrust-chat listening on http://127.0.0.1:"):
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"no start line but {line!r}; log:\n{self.log.read_text()[-4000:]}")
        return line

    def kill(self):
        """What a crash is: no goodbye to anybody."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process.stdout.close()

    def close(self):
        try:
            self.stop()
        finally:
            self._end_postgres()
            shutil.rmtree(self.directory, ignore_errors=True)

    def _end_postgres(self):
        # After a kill of the server its Postgres lives on; a stopped one has taken its pid file away.
        pid_file = self.directory / "data/postgres/postmaster.pid"
        if not pid_file.exists():
            return
        try:
            os.kill(int(pid_file.read_text().split("\n")[0]), signal.SIGQUIT)
        except ProcessLookupError:
            return
        # Its last deed is to take the file away. Its number may stay, where nobody waits for orphans.
        end = time.monotonic() + STOP_SECONDS
        while pid_file.exists() and time.monotonic() < end:
            time.sleep(0.02)

    def person(self, full_name="Ana Lopez", picture=None):
        user_id = new_id()
        body = {"full_name": full_name}
        if picture is not None:
            body["profile_picture_url"] = picture
        admin = Person(self, new_id(), "admin", None)
        admin.token = make_token(admin.id, role="admin")
        reply = admin.rest("PUT", f"/api/chat/users/{user_id}", json=body)
        assert reply.status_code == 200, reply.text
        return Person(self, user_id, full_name, picture)
