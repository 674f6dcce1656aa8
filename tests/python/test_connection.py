"""Who may open a Socket.IO connection, on each transport, and what the others are told."""

import pytest
import socketio

from chat_client import EVENT_SECONDS, TRANSPORTS, ChatClient
from chat_server import make_token, new_id

NO_TOKEN = "Authentication error: no token"
INVALID = "Authentication error: invalid token"


def refusal(server, auth, transport="websocket", url=None, **options):
    """The message of the connect_error that a client with this auth gets."""
    client = ChatClient()
    options.setdefault("transports", TRANSPORTS[transport])
    for namespace in options.get("namespaces", []):
        client.sio.on("connect_error", client.refusals.put, namespace=namespace)
    try:
        with pytest.raises(socketio.exceptions.ConnectionError):
            client.sio.connect(url or server.url, auth=auth, wait_timeout=EVENT_SECONDS, **options)
        return client.refusals.get(timeout=EVENT_SECONDS)["message"]
    finally:
        client.close()


def test_a_valid_token_connects(ana, connect, transport):
    assert connect(ana, transport).sio.connected


@pytest.mark.parametrize("auth", [None, {}, {"other": "x"}], ids=["no auth", "empty auth", "another key"])
def test_a_connection_without_a_token_is_refused(server, auth, transport):
    assert refusal(server, auth, transport) == NO_TOKEN


def test_an_invalid_token_is_refused_on_each_transport(server, transport):
    assert refusal(server, {"token": "not.a.token"}, transport) == INVALID


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(make_token(new_id(), ttl=-1), id="expired"),
        pytest.param(make_token(new_id(), secret="another secret, also long enough for HS256"), id="another key"),
        pytest.param(make_token(new_id(), secret="", algorithm="none"), id="algorithm none"),
        pytest.param(make_token(new_id(), secret="x" * 64, algorithm="HS512"), id="another algorithm and key"),
        pytest.param(make_token(None), id="no userId"),
        pytest.param(make_token("507f1f77bcf86cd79943901"), id="userId of 23 characters"),
        pytest.param(make_token("507f1f77bcf86cd79943901z"), id="userId not hexadecimal"),
        pytest.param(make_token(7), id="userId a number"),
        pytest.param(make_token(new_id())[:-4] + "AAAA", id="signature changed"),
        pytest.param("🐴", id="not even base64"),
    ],
)
def test_a_token_that_proves_nothing_is_refused(server, token):
    assert refusal(server, {"token": token}) == INVALID


def test_a_token_outside_auth_does_not_count(server, ana, connect):
    in_query = f"{server.url}?token={ana.token}"
    assert refusal(server, None, url=in_query) == NO_TOKEN
    assert refusal(server, None, headers={"Authorization": f"Bearer {ana.token}"}) == NO_TOKEN
    assert connect(ana).sio.connected


def test_another_namespace_is_refused(server, ana, transport):
    assert refusal(server, {"token": ana.token}, transport, namespaces=["/admin"]) == "Invalid namespace"


def test_a_refused_client_connects_with_the_right_token_afterwards(server, ana, transport):
    client = ChatClient()
    try:
        with pytest.raises(socketio.exceptions.ConnectionError):
            client.sio.connect(
                server.url, auth={"token": "wrong"}, transports=TRANSPORTS[transport], wait_timeout=EVENT_SECONDS
            )
        client.connect(server.url, {"token": ana.token}, transport)
        assert client.call("join_conversation", new_id())["message"] == "Conversation not found"
    finally:
        client.close()


def test_one_user_may_have_several_connections(ana, ben, conversation, connect):
    devices = [connect(ben, name) for name in TRANSPORTS]
    connect(ana).send(conversation, "to all your devices")
    for device in devices:
        assert device.next("message_notification")["preview"] == "to all your devices"
