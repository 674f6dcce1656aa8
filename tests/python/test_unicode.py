"""Texts are kept to the byte, and counted in code points, whatever they are made of."""

import pytest

TEXTS = [
    pytest.param("Żółć, naïve, straße", id="latin"),
    pytest.param("Cafe\u0301 is not Caf\u00e9", id="not normalised"),
    pytest.param("马 ウマ 말 סוס حصان", id="scripts of both directions"),
    pytest.param("👩‍🌾🐴🏇🏽🇦🇷", id="emoji of several code points"),
    pytest.param("  kept \t\r\n space  ", id="space around"),
    pytest.param("\"quotes\" \\ / </script> \u2028\u2029", id="what escapes get wrong"),
    pytest.param("\u0001\u001f\u007f\u0085\ufeff\ufffe\uffff\U0010ffff", id="controls and non-characters"),
    pytest.param("42[\"new_message\",{}]\u001e451-[{\"_placeholder\":true}]", id="looks like packets"),
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_as_it_went_in(ana, ben, conversation, connect, transport, text):
    sender, reader = connect(ana, transport), connect(ben, transport)
    reader.join(conversation)
    assert sender.send(conversation, text)["data"]["text"] == text
    assert reader.next("new_message")["text"] == text
    assert reader.next("message_notification")["preview"] == text[:60]
    assert ana.post(conversation, text).json()["data"]["text"] == text
    assert reader.next("new_message")["text"] == text
    assert [message["text"] for message in ben.history(conversation)] == [text, text]


def test_a_preview_is_cut_between_code_points(ana, ben, conversation, connect):
    reader = connect(ben)
    connect(ana).send(conversation, "🐴" * 61)
    assert reader.next("message_notification")["preview"] == "🐴" * 60


def test_two_thousand_emoji_are_a_text_and_one_more_is_not(ana, ben, conversation, connect, transport):
    sender = connect(ana, transport)
    assert sender.send(conversation, "🐴" * 2001)["success"] is False
    assert ana.post(conversation, "🐴" * 2001).status_code == 400
    assert sender.send(conversation, "🐴" * 2000)["success"] is True
    assert ana.post(conversation, "🐴" * 2000).status_code == 201
    assert [len(message["text"]) for message in ben.history(conversation)] == [2000, 2000]


def test_a_name_in_any_script_is_shown(server, connect, transport):
    writer, reader = server.person("Ñandú 馬子 🐎"), server.person("Zoë")
    conversation = writer.conversation_with(reader)
    listener = connect(reader, transport)
    listener.join(conversation)
    connect(writer, transport).send(conversation, "hello")
    assert listener.next("new_message")["sender_id"]["full_name"] == "Ñandú 馬子 🐎"
