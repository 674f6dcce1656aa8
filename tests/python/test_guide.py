"""The guide for apps, docs/guide.md: what it says in Python does what it says, step by step."""

import os
import queue
import re
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
import socketio

from chat_client import EVENT_SECONDS
from chat_server import ChatServer, make_token, new_id
from guide import PAGE, SNIPPETS, Guide

guide = Guide()


def app(person):
    """The app of a user."""
    return SimpleNamespace(url=person.server.url, token=lambda: person.token)


@pytest.fixture
def new_client():
    clients = []

    def client():
        clients.append(socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.2, randomization_factor=0))
        return clients[-1]

    yield client
    for made in clients:
        made.shutdown()


@pytest.fixture
def connect(new_client):
    """connect(person) -> a connected client; `listen` is called with it before."""

    def connected(person, listen=lambda client: None):
        client = new_client()
        listen(client)
        guide.connect(app(person), client, logged_out=pytest.fail)
        return client

    return connected


def lose(client):
    """The network breaks."""
    client.eio.ws.sock.shutdown(socket.SHUT_RDWR)


def eventually(probe, what):
    end = time.monotonic() + EVENT_SECONDS
    while not probe():
        assert time.monotonic() < end, f"not within {EVENT_SECONDS} s: {what}"
        time.sleep(0.02)


def take(mailbox, count):
    return [mailbox.get(timeout=EVENT_SECONDS) for _ in range(count)]


def seqs(messages):
    return [message["seq"] for message in messages]


def test_a_refused_token_is_told_by_connect_and_when_the_connection_comes_back(server, ana, new_client):
    tokens = [ana.token, "not a token"]
    refusals = queue.Queue()
    chat = SimpleNamespace(url=server.url, token=lambda: tokens.pop(0) if len(tokens) > 1 else tokens[0])
    client = new_client()
    guide.connect(chat, client, refusals.put)
    assert client.connected
    lose(client)
    assert refusals.get(timeout=EVENT_SECONDS)["message"] == "Authentication error: invalid token"
    with pytest.raises(socketio.exceptions.ConnectionError):
        guide.connect(chat, new_client(), refusals.put)
    assert refusals.get(timeout=EVENT_SECONDS)["data"]["code"] == "UNAUTHENTICATED"
    with pytest.raises(guide.Refused) as refusal:
        guide.rest(chat, "GET", "/unread-count")
    assert (refusal.value.code, refusal.value.retry_after) == ("UNAUTHENTICATED", 0)
    assert guide.rest(app(ana), "GET", "/unread-count")["unread_count"] == 0


def test_a_conversation_is_opened_once_and_nothing_falls_between_its_history_and_what_happens(ana, ben, connect):
    chat = app(ana)
    conversation = guide.open_conversation(chat, ben.id)["_id"]
    assert guide.open_conversation(chat, ben.id)["_id"] == conversation
    about_a_horse = guide.open_conversation(chat, ben.id, new_id())["_id"]
    for number in range(35):
        ben.post(conversation, f"{number}")
    listed = [listed["_id"] for listed in guide.list_conversations(chat)]
    assert listed == [conversation, about_a_horse]
    assert seqs(guide.messages(chat, conversation)["data"]) == list(range(6, 36))
    assert seqs(guide.messages(chat, conversation, "before_seq=6")["data"]) == list(range(1, 6))
    ben.post(conversation, "between")
    heard = queue.Queue()
    client = connect(ana, lambda client: client.on("new_message", heard.put))
    assert seqs(guide.join(client, conversation, 35)["messages"]) == [36]
    ben.post(conversation, "afterwards")
    assert seqs(take(heard, 1)) == [37]
    assert guide.rest(chat, "GET", "/unread-count")["unread_count"] == 37
    with pytest.raises(guide.Refused) as refusal:
        guide.ask(client, "join_conversation", new_id())
    assert refusal.value.code == "NOT_FOUND"


class Deaf:
    """A client whose answers are lost: what is asked arrives, and has no answer."""

    def __init__(self, client):
        self.client = client

    def call(self, event, arguments, timeout):
        answered = threading.Event()
        self.client.emit(event, arguments, callback=lambda ack: answered.set())
        assert answered.wait(EVENT_SECONDS)
        raise socketio.exceptions.TimeoutError()


def test_a_message_whose_answer_is_lost_is_stored_once(ana, conversation, connect):
    message = guide.send(app(ana), Deaf(connect(ana)), conversation, "once", "a")
    assert (message["seq"], message["duplicate"]) == (1, True)
    assert [stored["text"] for stored in ana.history(conversation)] == ["once"]


def test_a_message_that_has_no_connection_goes_by_rest_and_is_stored_once(ana, conversation, connect, new_client):
    assert guide.send(app(ana), new_client(), conversation, "once", "a")["seq"] == 1
    assert guide.send(app(ana), connect(ana), conversation, "once", "a")["duplicate"] is True
    assert [stored["text"] for stored in ana.history(conversation)] == ["once"]


def test_a_message_that_is_refused_is_not_stored(ana, conversation, connect):
    with pytest.raises(guide.Refused) as refusal:
        guide.send(app(ana), connect(ana), conversation, " ", "a")
    assert refusal.value.code == "INVALID_ARGUMENT"
    assert ana.history(conversation) == []


def test_others_see_who_types_and_what_was_read_and_readers_what_is_left(ana, ben, conversation, connect):
    shown = queue.Queue()

    def show(what):
        return lambda *details: shown.put((what, *details))

    def watch(name):
        return lambda client: guide.watch(client, show(f"typing {name}"), show(f"read {name}"), show(f"unread {name}"))

    writer, reader = connect(ana, watch("ana")), connect(ben, watch("ben"))
    for client in (writer, reader):
        guide.join(client, conversation, 0)
    for is_typing in (True, False):
        guide.typing(reader, conversation, is_typing)
        assert take(shown, 1) == [("typing ana", conversation, ben.id, is_typing)]
    for text in ("one", "two"):
        ana.post(conversation, text)
    guide.mark_read(reader, conversation, 1)
    read = [("read ana", conversation, ben.id, 1), ("read ben", conversation, ben.id, 1)]
    assert sorted(take(shown, 3)) == [*read, ("unread ben", conversation, 1)]


def test_a_user_hears_of_messages_everywhere_and_of_deletions_where_joined(ana, ben, conversation, connect):
    heard = queue.Queue()

    def notify(*details):
        heard.put(("notice", *details))

    def show_deleted(*details):
        heard.put(("deleted", *details))

    client = connect(ana, lambda client: guide.hear(client, notify, show_deleted))
    message = ben.post(conversation, "not joined").json()["data"]
    assert take(heard, 1) == [("notice", conversation, ben.id, "not joined")]
    guide.join(client, conversation, 1)
    guide.rest(app(ben), "DELETE", f"/messages/{message['_id']}")
    assert take(heard, 1) == [("deleted", conversation, 1)]


def test_each_message_is_shown_once_and_in_order_whatever_was_missed(ana, ben, conversation, connect):
    other = ben.conversation_with(ana, horse_id=new_id())
    shown = {conversation: queue.Queue(), other: queue.Queue()}
    last_seqs = dict.fromkeys(shown, 0)

    def follow(client):
        guide.follow(app(ana), client, last_seqs, lambda message: shown[message["conversation_id"]].put(message))

    ben.post(other, "long before")
    client = connect(ana, follow)
    numbers = 0
    # What an answer to a join has no room for is fetched.
    for missed in (3, 130, 1):
        lose(client)
        for _ in range(missed + 10):
            ben.post(conversation, "x" * 100)
        numbers += missed + 10
        eventually(lambda: client.connected, "a connection")
    assert seqs(take(shown[conversation], numbers)) == list(range(1, numbers + 1))
    assert seqs(take(shown[other], 1)) == [1]
    assert last_seqs == {conversation: numbers, other: 1}


def test_what_is_refused_for_its_rate_is_sent_again_and_stored_once(connect):
    limited = ChatServer(RATE_SENDS="2")
    try:
        limited.start()
        ana, ben = limited.person("Ana"), limited.person("Ben")
        conversation = ana.conversation_with(ben)
        client = connect(ana)
        refusals = []

        def attempt(number):
            try:
                return guide.send(app(ana), client, conversation, f"{number}", f"{number}")
            except guide.Refused as refusal:
                refusals.append(refusal.code)
                raise

        # Twenty at once, and two a second.
        sent = [guide.patiently(lambda: attempt(number)) for number in range(30)]
        assert seqs(sent) == list(range(1, 31))
        assert set(refusals) == {"RATE_LIMITED"}
        assert len(ana.history(conversation, limit=100)) == 30
        client.disconnect()
    finally:
        limited.close()


def test_what_has_no_answer_is_tried_again_and_what_cannot_succeed_is_not(ana):
    answers = [socketio.exceptions.TimeoutError(), "an answer"]

    def lossy():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert guide.patiently(lossy) == "an answer"
    attempts = []

    def hopeless():
        attempts.append(1)
        return guide.open_conversation(app(ana), ana.id)

    with pytest.raises(guide.Refused):
        guide.patiently(hopeless)
    assert len(attempts) == 1


def test_a_session_outlives_its_tokens(server, ana, new_client):
    fetched, ends = [], queue.Queue()

    def holding(ttl):
        def token():
            fetched.append(make_token(ana.id, ttl=ttl))
            return fetched[-1]

        return SimpleNamespace(url=server.url, token=token)

    refreshing, lazy = new_client(), new_client()
    chats = [(refreshing, holding(15)), (lazy, holding(5))]
    guide.outlive(chats[0][1], refreshing)
    expired, connects = queue.Queue(), queue.Queue()
    lazy.on("auth_expired", expired.put)
    lazy.on("connect", lambda: connects.put(True))
    for client, chat in chats:
        guide.connect(chat, client, pytest.fail)
    sid = refreshing.sid
    take(expired, 1)
    take(connects, 2)
    assert (refreshing.connected, refreshing.sid) == (True, sid), "a token that is replaced in time ends nothing"
    assert len(fetched) >= 4


def test_a_client_comes_back_from_a_planned_stop_when_it_was_told_to(own_server, connect):
    ana, ben = own_server.person("Ana"), own_server.person("Ben")
    conversation = ana.conversation_with(ben)
    shown = queue.Queue()

    def listen(client):
        guide.outlive(app(ana), client)
        guide.follow(app(ana), client, {conversation: 0}, lambda message: shown.put(message["text"]))

    client = connect(ana, listen)
    usual = client.reconnection_delay
    own_server.stop()
    eventually(lambda: client.reconnection_delay != usual, "the time that was told")
    assert client.reconnection_delay >= 0.5
    own_server.start()
    ben.post(conversation, "after it")
    assert take(shown, 1) == ["after it"]
    lose(client)
    eventually(lambda: client.reconnection_delay == usual, "the usual time")


def test_all_together_shows_what_is_said_and_says_what_it_is_told(server, new_client):
    ana, ben = server.person("Ana"), server.person("Ben")
    conversation = ana.conversation_with(ben)
    ben.post(conversation, "before")
    shown = queue.Queue()
    say = guide.start(app(ana), new_client(), conversation, lambda message: shown.put(message["text"]), pytest.fail)
    assert say("mine")["seq"] == 2
    ben.post(conversation, "after")
    assert take(shown, 3) == ["before", "mine", "after"]


def test_all_together_is_a_program_for_a_terminal(server, tmp_path):
    ana, ben = server.person("Ana"), server.person("Ben")
    conversation = ana.conversation_with(ben)
    ben.post(conversation, "before")
    program = tmp_path / "chat.py"
    program.write_text("\n".join(SNIPPETS), encoding="utf-8")
    env = {**os.environ, "URL": server.url, "TOKEN": ana.token}
    command = [sys.executable, program, conversation]
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    with subprocess.Popen(command, env=env, text=True, **pipes) as process:
        try:
            assert process.stdout.readline() == "1 Ben before\n"
            process.stdin.write(" \ntyped\n")
            process.stdin.flush()
            assert process.stdout.readline() == "2 Ana typed\n"
            ben.post(conversation, "after")
            assert process.stdout.readline() == "3 Ben after\n"
            complaints = process.communicate(timeout=EVENT_SECONDS)[1]
        finally:
            process.kill()
    assert process.returncode == 0, complaints
    assert re.fullmatch(r"text .*\n", complaints), "the empty line was refused"


def test_every_snippet_was_run():
    assert len(re.findall(r"^\s*```python", PAGE, re.MULTILINE)) == len(SNIPPETS) > 0
    assert guide.uncalled() == set()
