import pytest

from chat_client import TRANSPORTS, ChatClient
from chat_server import ChatServer


@pytest.fixture(scope="session")
def server():
    chat_server = ChatServer()
    try:
        yield chat_server.start()
    finally:
        chat_server.close()


@pytest.fixture
def own_server():
    """For tests that kill it."""
    chat_server = ChatServer()
    try:
        yield chat_server.start()
    finally:
        chat_server.close()


@pytest.fixture(params=list(TRANSPORTS))
def transport(request):
    return request.param


@pytest.fixture
def connect():
    """connect(person, transport) -> a connected client, which is closed when the test is over, however it ends."""
    clients = []

    def connected(person, transport="websocket", **options):
        client = ChatClient(**options)
        clients.append(client)
        return client.connect(person.server.url, {"token": person.token}, transport)

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def ana(server):
    return server.person("Ana López", "https://cdn.example.com/ana.jpg")


@pytest.fixture
def ben(server):
    return server.person("Ben Nowak")


@pytest.fixture
def stranger(server):
    return server.person("Sven Fremd")


@pytest.fixture
def conversation(ana, ben):
    return ana.conversation_with(ben)
