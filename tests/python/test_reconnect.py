"""A client whose server was killed comes back by itself, joins again, and finds all that was acknowledged."""

import pytest

from chat_client import EVENT_SECONDS, SETTLED

QUICK_RETRIES = {"reconnection": True, "reconnection_delay": 0.1, "reconnection_delay_max": 0.5}


def await_reconnect(client, transport):
    client.connects.get(timeout=EVENT_SECONDS * 2)
    assert client.sio.transport() == SETTLED[transport]


def test_a_killed_server_loses_no_acknowledged_message(own_server, connect, transport):
    ana, ben = own_server.person("Ana"), own_server.person("Ben")
    conversation = ana.conversation_with(ben)
    sender, reader = (connect(person, transport, **QUICK_RETRIES) for person in (ana, ben))
    reader.join(conversation)
    acked = [sender.send(conversation, f"before {number}")["data"] for number in range(10)]
    for message in acked:
        reader.next("new_message")
    own_server.kill()
    own_server.start()
    for client in (sender, reader):
        await_reconnect(client, transport)
    reader.join(conversation)
    after = sender.send(conversation, "after the crash")["data"]
    assert after["seq"] == 11
    assert reader.next("new_message") == after
    assert ana.history(conversation) == acked + [after]


def test_rooms_end_with_the_connection_and_the_personal_room_does_not(own_server, connect):
    ana, ben = own_server.person("Ana"), own_server.person("Ben")
    conversation = ana.conversation_with(ben)
    reader = connect(ben, **QUICK_RETRIES)
    reader.join(conversation)
    own_server.kill()
    own_server.start()
    await_reconnect(reader, "websocket")
    sender = connect(ana)
    sender.send(conversation, "not joined again yet")
    assert reader.next("message_notification")["preview"] == "not joined again yet"
    reader.join(conversation)
    sender.send(conversation, "joined again")
    assert reader.next("new_message")["text"] == "joined again"
    assert reader.waiting("new_message") == 0


@pytest.mark.parametrize("rounds", [5])
def test_a_client_that_leaves_and_comes_back_joins_again(server, ana, ben, conversation, connect, transport, rounds):
    sender = connect(ana, transport)
    for number in range(rounds):
        reader = connect(ben, transport)
        reader.join(conversation)
        sender.send(conversation, f"round {number}")
        assert reader.next("new_message")["text"] == f"round {number}"
        reader.close()
