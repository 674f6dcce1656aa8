"""The asyncio client of python-socketio, which keeps the order of events and so is the one to test order with."""

import asyncio
from contextlib import asynccontextmanager

import pytest
import socketio

from chat_client import EVENT_SECONDS, SETTLED, TRANSPORTS

# python-engineio gives a connection up when one poll brings more than 16 packets, from whatever server. Each message here
# makes two (an acknowledgement or a notification, and the new_message), and one poll may bring them all.
IN_FLIGHT = {"websocket": 50, "polling": 7, "upgrade": 50}


class AsyncChatClient:
    def __init__(self):
        self.sio = socketio.AsyncClient(reconnection=False)
        self.mailboxes = {}
        for event in ("new_message", "message_notification", "user_typing", "connect_error"):
            self.mailboxes[event] = asyncio.Queue()
            self.sio.on(event, self.mailboxes[event].put_nowait)

    async def next(self, event):
        return await asyncio.wait_for(self.mailboxes[event].get(), EVENT_SECONDS)

    async def call(self, event, data):
        return await self.sio.call(event, data, timeout=EVENT_SECONDS)

    async def send_in_flight(self, conversation, texts):
        """Sends all before any acknowledgement is awaited; the acks in the order in which they came."""
        acks = asyncio.Queue()
        for text in texts:
            payload = {"conversation_id": conversation, "text": text}
            await self.sio.emit("send_message", payload, callback=acks.put_nowait)
        return [await asyncio.wait_for(acks.get(), EVENT_SECONDS) for _ in texts]


@asynccontextmanager
async def connected(person, transport):
    client = AsyncChatClient()
    try:
        await client.sio.connect(
            person.server.url,
            auth={"token": person.token},
            transports=TRANSPORTS[transport],
            wait_timeout=EVENT_SECONDS,
        )
        assert client.sio.transport() == SETTLED[transport]
        yield client
    finally:
        await client.sio.disconnect()
        # Its HTTP session is closed by no disconnect of a polling client.
        if client.sio.eio.http and not client.sio.eio.http.closed:
            await client.sio.eio.http.close()


def test_sends_in_flight_are_acked_stored_and_heard_in_the_order_sent(ana, ben, conversation, transport):
    texts = [f"number {number}" for number in range(IN_FLIGHT[transport])]

    async def scenario():
        async with connected(ana, transport) as sender, connected(ben, transport) as reader:
            await sender.call("join_conversation", conversation)
            await reader.call("join_conversation", conversation)
            acks = await sender.send_in_flight(conversation, texts)
            messages = [ack["data"] for ack in acks]
            assert [message["text"] for message in messages] == texts
            assert [message["seq"] for message in messages] == list(range(1, len(texts) + 1))
            for client in (sender, reader):
                assert [await client.next("new_message") for _ in texts] == messages
            previews = [(await reader.next("message_notification"))["preview"] for _ in texts]
            assert previews == texts
            return messages

    messages = asyncio.run(scenario())
    assert ana.history(conversation, limit=100) == messages


def test_a_join_followed_at_once_by_a_send_hears_its_own_message(ana, conversation, transport):
    async def scenario():
        async with connected(ana, transport) as client:
            joined = asyncio.Queue()
            await client.sio.emit("join_conversation", conversation, callback=joined.put_nowait)
            await client.sio.emit("send_message", {"conversation_id": conversation, "text": "at once"})
            assert (await asyncio.wait_for(joined.get(), EVENT_SECONDS))["success"] is True
            assert (await client.next("new_message"))["text"] == "at once"

    asyncio.run(scenario())


def test_typing_and_stranger_rules_hold_for_the_asyncio_client(ana, ben, stranger, conversation, transport):
    async def scenario():
        async with connected(ana, transport) as typist, connected(ben, transport) as reader:
            await reader.call("join_conversation", conversation)
            async with connected(stranger, transport) as intruder:
                assert (await intruder.call("typing", conversation))["success"] is False
            assert (await typist.call("typing", conversation))["success"] is True
            assert (await reader.next("user_typing"))["userId"] == ana.id

    asyncio.run(scenario())


def test_a_refused_token_raises_with_the_reason(server, ana, transport):
    async def scenario():
        client = AsyncChatClient()
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.sio.connect(
                server.url, auth={"token": "x"}, transports=TRANSPORTS[transport], wait_timeout=EVENT_SECONDS
            )
        assert (await client.next("connect_error"))["message"] == "Authentication error: invalid token"
        await client.sio.disconnect()
        if client.sio.eio.http and not client.sio.eio.http.closed:
            await client.sio.eio.http.close()
        async with connected(ana, transport) as accepted:
            assert accepted.sio.connected

    asyncio.run(scenario())
