"""Typing is relayed to every other socket in the room, and to nobody else."""

import pytest


@pytest.mark.parametrize("event,heard", [("typing", "user_typing"), ("stop_typing", "user_stop_typing")])
def test_typing_reaches_the_others_in_the_room(ana, ben, conversation, connect, transport, event, heard):
    typist, second_device, reader = connect(ana, transport), connect(ana, transport), connect(ben, transport)
    for client in (typist, second_device, reader):
        client.join(conversation)
    assert typist.call(event, conversation)["success"] is True
    assert reader.next(heard)["userId"] == ana.id
    assert second_device.next(heard)["userId"] == ana.id
    # The fence: what the typist hears first is the other one's event, not its own.
    reader.call(event, conversation)
    assert typist.next(heard)["userId"] == ben.id


def test_typing_needs_no_join_but_hearing_it_does(ana, ben, conversation, connect):
    typist, joined, outside = connect(ana), connect(ben), connect(ben)
    joined.join(conversation)
    assert typist.call("typing", conversation)["success"] is True
    assert joined.next("user_typing")["userId"] == ana.id
    outside.join(conversation)
    typist.call("stop_typing", conversation)
    assert outside.next("user_stop_typing")["userId"] == ana.id
    assert outside.waiting("user_typing") == 0


def test_typing_without_an_acknowledgement_is_relayed_too(ana, ben, conversation, connect, transport):
    typist, reader = connect(ana, transport), connect(ben, transport)
    reader.join(conversation)
    typist.sio.emit("typing", conversation)
    assert reader.next("user_typing")["userId"] == ana.id
