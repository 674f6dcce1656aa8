"""The REST fallback: what a client without a socket does, and how it meets those with one."""

import pytest
import requests

from chat_server import make_token, new_id

NOT_FOUND = {"success": False, "message": "Conversation not found", "code": "NOT_FOUND"}


def test_a_message_posted_by_rest_reaches_room_and_recipient(ana, ben, conversation, connect, transport):
    joined, elsewhere = connect(ben, transport), connect(ben, transport)
    joined.join(conversation)
    reply = ana.post(conversation, "by fallback")
    assert reply.status_code == 201
    assert reply.json()["success"] is True
    stored = reply.json()["data"]
    assert stored["sender_id"] == ana.id
    heard = joined.next("new_message")
    assert heard["sender_id"] == ana.profile
    for name in ("_id", "conversation_id", "text", "sent_at", "seq"):
        assert heard[name] == stored[name], name
    notification = {"conversation_id": conversation, "sender": ana.id, "preview": "by fallback"}
    assert elsewhere.next("message_notification") == notification
    assert joined.next("message_notification") == notification


def test_socket_and_rest_share_one_order(ana, ben, conversation, connect):
    sender = connect(ana)
    for round_number in range(5):
        assert sender.send(conversation, f"socket {round_number}")["data"]["seq"] == 2 * round_number + 1
        assert ben.post(conversation, f"rest {round_number}").json()["data"]["seq"] == 2 * round_number + 2
    assert [message["seq"] for message in ana.history(conversation)] == list(range(1, 11))


def test_a_stranger_is_refused_exactly_like_an_unknown_conversation(ana, stranger, conversation):
    for conversation_id in (conversation, new_id(), "not-an-id"):
        path = f"/api/chat/conversations/{conversation_id}/messages"
        for reply in (stranger.rest("GET", path), stranger.post(conversation_id, "let me in")):
            assert (reply.status_code, reply.json()) == (404, NOT_FOUND)
    assert ana.history(conversation) == []


@pytest.mark.parametrize(
    "headers,message",
    [
        pytest.param({}, "No token provided", id="no header"),
        pytest.param({"Authorization": "Basic abc"}, "No token provided", id="not Bearer"),
        pytest.param({"Authorization": "Bearer abc"}, "Invalid or expired token", id="not a token"),
        pytest.param(
            {"Authorization": f"Bearer {make_token(new_id(), ttl=-1)}"}, "Invalid or expired token", id="expired"
        ),
        pytest.param(
            {"Authorization": f"Bearer {make_token(new_id(), secret='', algorithm='none')}"},
            "Invalid or expired token",
            id="algorithm none",
        ),
    ],
)
def test_a_call_without_a_valid_token_is_refused(server, ana, headers, message):
    reply = requests.get(f"{server.url}/api/chat/unread-count", headers=headers, timeout=30)
    assert reply.status_code == 401
    assert reply.json() == {"success": False, "message": message, "code": "UNAUTHENTICATED"}
    assert ana.rest("GET", "/api/chat/unread-count").json() == {"success": True, "unread_count": 0}


def test_fetching_marks_everything_of_the_other_side_as_read(ana, ben, conversation):
    for number in range(4):
        assert ana.post(conversation, f"message {number}").status_code == 201
    assert ben.rest("GET", "/api/chat/unread-count").json()["unread_count"] == 4
    assert [m["is_read"] for m in ana.history(conversation)] == [False] * 4
    page = ben.history(conversation, limit=1)
    assert [(m["text"], m["is_read"], m["read_at"]) for m in page] == [("message 3", False, None)]
    assert ben.rest("GET", "/api/chat/unread-count").json()["unread_count"] == 0
    assert all(m["is_read"] and m["read_at"] for m in ana.history(conversation))


def test_page_one_is_the_newest_and_runs_oldest_first(ana, ben, conversation):
    for number in range(7):
        ana.post(conversation, str(number))
    pages = [[m["text"] for m in ben.history(conversation, page=page, limit=3)] for page in (1, 2, 3, 4)]
    assert pages == [["4", "5", "6"], ["1", "2", "3"], ["0"], []]
    assert len(ben.history(conversation, page="x", limit="-2")) == 7


def test_the_list_of_conversations_has_the_newest_first(ana, ben, stranger):
    quiet, lively = ana.conversation_with(ben), ana.conversation_with(stranger)
    ana.post(quiet, "first here")
    ana.post(lively, "then here")
    listed = ana.rest("GET", "/api/chat/conversations").json()["data"]
    assert [conversation["_id"] for conversation in listed] == [lively, quiet]
    last = listed[0]["last_message"]
    assert (last["text"], last["sender_id"], last["is_read"]) == ("then here", ana.id, False)
    people = {person["_id"]: person for person in listed[1]["participants"]}
    assert people == {ana.id: ana.profile, ben.id: ben.profile}
    assert [c["_id"] for c in ben.rest("GET", "/api/chat/conversations").json()["data"]] == [quiet]


def test_opening_a_conversation_twice_gives_the_same_one(ana, ben):
    body = {"recipient_id": ben.id}
    data = ana.rest("POST", "/api/chat/conversations", json=body).json()["data"]
    assert sorted(data["participants"]) == sorted([ana.id, ben.id])
    assert ben.conversation_with(ana) == ana.conversation_with(ben) == data["_id"]


def test_a_conversation_that_cannot_be_is_refused(ana, ben):
    for body, status, message in [
        ({"recipient_id": "nobody"}, 400, "Invalid recipient ID"),
        ({}, 400, "Invalid recipient ID"),
        ({"recipient_id": ana.id}, 400, "Cannot message yourself"),
        ({"recipient_id": ben.id, "horse_id": "a mare"}, 400, "Invalid horse ID"),
        ({"recipient_id": new_id()}, 404, "Recipient not found"),
    ]:
        reply = ana.rest("POST", "/api/chat/conversations", json=body)
        assert (reply.status_code, reply.json()["success"], reply.json()["message"]) == (status, False, message), body
    assert ana.conversation_with(ben)


def test_a_body_that_is_no_message_is_refused_as_json(ana, ben, conversation):
    path = f"/api/chat/conversations/{conversation}/messages"
    json_type = {"Content-Type": "application/json", "Authorization": f"Bearer {ana.token}"}
    for body, status in [(b"{", 400), (b"[]", 400), (b'"text"', 400), (b"", 400), (b'{"text":' + b" " * 70_000, 413)]:
        reply = requests.post(ana.server.url + path, headers=json_type, data=body, timeout=30)
        assert (reply.status_code, reply.json()["success"]) == (status, False), body[:20]
        assert reply.json()["message"]
    assert ana.post(conversation, "well formed").status_code == 201
    assert len(ben.history(conversation)) == 1


def test_a_route_that_does_not_exist_answers_in_json(server):
    reply = requests.get(f"{server.url}/api/horses", timeout=30)
    assert reply.status_code == 404
    body = reply.json()
    assert (body["success"], body["message"]) == (False, "Route not found")
    assert requests.get(f"{server.url}/health", timeout=30).status_code == 200
