"""The REST calls against their own OpenAPI document: whatever Schemathesis makes of it is answered as it says."""

import subprocess
import sys
from pathlib import Path

import pytest

from chat_server import make_token, new_id

TOOL = Path(sys.executable).parent / "schemathesis"
EXAMPLES = 30
LIMIT_SECONDS = 600
# What a schema cannot say is refused with 400: two names of one message that differ, a conversation with oneself, both ends
# of a page. And numbers of pages that are out of range, or none, are corrected: clients of the service before send such.
CONFIGURATION = """
[[operations]]
include-name = "GET /api/chat/conversations/{{id}}/messages"
checks.negative_data_rejection.enabled = false
checks.positive_data_acceptance.enabled = false
parameters = {{ "path.id" = "{conversation}" }}

[[operations]]
include-name = "POST /api/chat/conversations/{{id}}/messages"
checks.positive_data_acceptance.enabled = false
parameters = {{ "path.id" = "{conversation}" }}

[[operations]]
include-name = "POST /api/chat/conversations"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path-regex = "users/"
parameters = {{ "path.id" = "{user}" }}
"""


def run(server, token, directory, *arguments, **ids):
    """What Schemathesis finds; a server of our own has nothing that it could spoil."""
    configuration = directory / "schemathesis.toml"
    configuration.write_text(CONFIGURATION.format(**ids))
    command = [
        TOOL,
        "--config-file",
        configuration,
        "run",
        f"{server.url}/api/chat/openapi.json",
        "--exclude-path-regex=/ws$",
        "--seed=1",
        f"--max-examples={EXAMPLES}",
        f"--header=Authorization: Bearer {token}",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, cwd=directory)
    print(done.stdout[-20_000:], done.stderr[-5_000:])
    return done


@pytest.mark.parametrize("role", ["seller", "admin"])
def test_calls_made_of_the_document_are_answered_as_it_says(server, tmp_path, role):
    ana, ben = server.person("Ana"), server.person("Ben")
    conversation = ana.conversation_with(ben)
    ana.post(conversation, "something to read")
    # An admin's calls may revoke the tokens of anybody who is named in an answer.
    caller = ana.id if role == "seller" else new_id()
    done = run(server, make_token(caller, role), tmp_path, conversation=conversation, user=ben.id)
    assert done.returncode == 0
