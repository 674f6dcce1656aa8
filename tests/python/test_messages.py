"""Join, send with an acknowledgement, new_message and message_notification; and who gets none of them."""

import re

import pytest

from chat_server import new_id

OBJECT_ID = re.compile(r"[0-9a-f]{24}")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NOT_FOUND = "Conversation not found"


def test_a_sent_message_is_acked_and_reaches_both_sides(ana, ben, conversation, connect, transport):
    sender, reader = connect(ana, transport), connect(ben, transport)
    sender.join(conversation)
    reader.join(conversation)
    ack = sender.send(conversation, "Is this horse still available?")
    assert ack["success"] is True
    message = ack["data"]
    assert OBJECT_ID.fullmatch(message["_id"])
    assert TIMESTAMP.fullmatch(message["sent_at"])
    assert message["conversation_id"] == conversation
    assert message["sender_id"] == ana.profile
    assert message["text"] == "Is this horse still available?"
    assert message["is_read"] is False
    assert message["read_at"] is None
    assert message["seq"] == 1
    assert sender.next("new_message") == message
    assert reader.next("new_message") == message
    assert ben.history(conversation) == [message]


def test_the_other_participant_is_notified_and_the_sender_is_not(ana, ben, conversation, connect, transport):
    sender, other = connect(ana, transport), connect(ben, transport)
    text = "first " + "x" * 80
    sender.send(conversation, text)
    assert other.next("message_notification") == {
        "conversation_id": conversation,
        "sender": ana.id,
        "preview": text[:60],
    }
    other.send(conversation, "the fence")
    assert sender.next("message_notification")["preview"] == "the fence"
    assert other.waiting("message_notification") == 0


def test_a_send_needs_no_join_but_hearing_the_room_does(ana, ben, conversation, connect):
    sender, reader = connect(ana), connect(ben)
    assert sender.send(conversation, "nobody joined yet")["success"] is True
    sender.join(conversation)
    reader.join(conversation)
    sender.send(conversation, "now we have")
    assert sender.next("new_message")["text"] == "now we have"
    assert reader.next("new_message")["text"] == "now we have"


def test_a_send_without_an_acknowledgement_is_stored_and_sent(ana, ben, conversation, connect, transport):
    sender, reader = connect(ana, transport), connect(ben, transport)
    reader.join(conversation)
    sender.sio.emit("send_message", {"conversation_id": conversation, "text": "no ack wanted"})
    message = reader.next("new_message")
    assert message["text"] == "no ack wanted"
    assert ben.history(conversation)[0]["_id"] == message["_id"]


def test_a_stranger_gets_nothing_where_a_participant_gets_everything(
    ana, ben, stranger, conversation, connect, transport
):
    reader, intruder = connect(ben, transport), connect(stranger, transport)
    reader.join(conversation)
    for event, argument in [
        ("join_conversation", conversation),
        ("send_message", {"conversation_id": conversation, "text": "let me in"}),
        ("typing", conversation),
        ("stop_typing", conversation),
    ]:
        ack = intruder.call(event, argument)
        assert (ack["success"], ack["message"], ack["code"]) == (False, NOT_FOUND, "NOT_FOUND"), event
    connect(ana).send(conversation, "between us")
    assert reader.next("new_message")["text"] == "between us"
    # The fence for the intruder: a message of a conversation which is theirs.
    own = stranger.conversation_with(ben)
    intruder.join(own)
    connect(ben).send(own, "hello stranger")
    assert intruder.next("new_message")["text"] == "hello stranger"
    assert intruder.next("message_notification")["conversation_id"] == own
    assert intruder.waiting("new_message") == intruder.waiting("message_notification") == 0
    assert [message["text"] for message in ben.history(conversation)] == ["between us"]


@pytest.mark.parametrize("unknown", [new_id(), "not-an-id", "", None, 7, {}, []], ids=repr)
def test_a_conversation_that_does_not_exist_is_refused_and_the_connection_stays(
    ana, conversation, connect, unknown
):
    client = connect(ana)
    for event, argument in [
        ("join_conversation", unknown),
        ("send_message", {"conversation_id": unknown, "text": "to nobody"}),
        ("typing", unknown),
    ]:
        ack = client.call(event, argument)
        assert ack["success"] is False and ack["message"], event
    client.join(conversation)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param({}, id="absent"),
        pytest.param({"text": None}, id="null"),
        pytest.param({"text": 7}, id="number"),
        pytest.param({"text": ["a"]}, id="array"),
        pytest.param({"text": ""}, id="empty"),
        pytest.param({"text": " \n\t\u00a0\u3000"}, id="blank"),
        pytest.param({"text": "x" * 2001}, id="2001 characters"),
        pytest.param({"text": "a\u0000b"}, id="U+0000"),
    ],
)
def test_a_text_that_breaks_the_rule_is_refused_and_not_stored(ana, ben, conversation, connect, transport, payload):
    sender, reader = connect(ana, transport), connect(ben)
    reader.join(conversation)
    ack = sender.call("send_message", {"conversation_id": conversation, **payload})
    assert ack["success"] is False and ack["message"]
    assert ack["code"] == "INVALID_ARGUMENT"
    good = sender.send(conversation, "x" * 2000)
    assert good["success"] is True and good["data"]["seq"] == 1
    assert reader.next("new_message")["text"] == "x" * 2000
    assert len(ben.history(conversation)) == 1


def test_an_unknown_event_is_refused_and_the_connection_stays(ana, conversation, connect, transport):
    client = connect(ana, transport)
    ack = client.call("feed_the_horse", {"hay": True})
    assert ack["success"] is False and ack["message"]
    client.sio.emit("feed_the_horse", {"hay": True})
    client.sio.emit("send_message")
    client.join(conversation)
