"""A python-socketio client with a mailbox for each event, so that tests wait for events and never for time.

The threaded client starts one thread per packet, so two events that arrive together may swap places in a mailbox. Tests
of order therefore use the asyncio client.
"""

import queue

import socketio

# Far beyond what a loaded machine needs; a passing test never waits for it.
EVENT_SECONDS = 20

TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgrade": None}
SETTLED = {"websocket": "websocket", "polling": "polling", "upgrade": "websocket"}

EVENTS = ("new_message", "message_notification", "user_typing", "user_stop_typing")


class ChatClient:
    def __init__(self, **options):
        options.setdefault("reconnection", False)
        self.sio = socketio.Client(**options)
        self.refusals = queue.Queue()
        self.connects = queue.Queue()
        self.mailboxes = {event: queue.Queue() for event in EVENTS}
        self.sio.on("connect", lambda: self.connects.put(True))
        self.sio.on("connect_error", self.refusals.put)
        for event, mailbox in self.mailboxes.items():
            self.sio.on(event, mailbox.put)

    def connect(self, url, auth, transport="websocket", **options):
        self.sio.connect(url, auth=auth, transports=TRANSPORTS[transport], wait_timeout=EVENT_SECONDS, **options)
        self.connects.get(timeout=EVENT_SECONDS)
        assert self.sio.transport() == SETTLED[transport]
        return self

    def call(self, event, data):
        return self.sio.call(event, data, timeout=EVENT_SECONDS)

    def join(self, conversation):
        ack = self.call("join_conversation", conversation)
        assert ack == {"success": True, "data": {"conversation_id": conversation}}, ack

    def send(self, conversation, text):
        return self.call("send_message", {"conversation_id": conversation, "text": text})

    def next(self, event):
        return self.mailboxes[event].get(timeout=EVENT_SECONDS)

    def waiting(self, event):
        return self.mailboxes[event].qsize()

    def close(self):
        self.sio.disconnect()
