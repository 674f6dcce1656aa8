"""Rows that are there before a run: stored by SQL once, in a database that runs then copy."""

from __future__ import annotations

import re

from servers import ROOT, SCHEMA_OF_PEERS, Postgres, Product, environment_of, run

# Of one lane; a batch has each of them once at most.
PLACES = 128
# Users as `chat-load` numbers them by default: it finds them, and their conversation.
USER_ID = "decode('6c6f6164' || lpad(to_hex({n}), 16, '0'), 'hex')"
# Other ids that grow as the server's do: its newest entry is always at the right edge of an index.
NEW_ID = "decode('6d' || lpad(to_hex({n}), 22, '0'), 'hex')"
TEXT = "repeat('x', 100)"


def long_conversation(postgres: Postgres, product: Product, secret: str, messages: int) -> str:
    """A database with one conversation of so many messages, sent in turn and all read; its name.

    As the server leaves it, or a peer: the same rows, and what each derives from them.
    """
    is_ours = product.is_ours
    # Each binary of this server has a schema of its own.
    name = f"long_{product.name.replace('-', '_')}" if is_ours else "long_peers"
    if postgres.has(name):
        return name
    make_schema(postgres, product, secret, name)
    creator, recipient, conversation = (USER_ID.format(n=0), USER_ID.format(n=1), NEW_ID.format(n=0))
    began = "timestamptz '2025-01-01 00:00:00Z'"
    until = f"{began} + {messages} * interval '1 second'"
    # A year later the last page was looked at.
    read_at = f"{began} + interval '1 year'"
    heads, head_values = (
        ("last_seq, creator_read_seq, recipient_read_seq", f"{messages}, {messages}, {messages}") if is_ours
        else ("last_message", NEW_ID.format(n=messages))
    )
    column, value = ("seq", "n") if is_ours else ("is_read", "true")
    postgres.sql(
        f"""
        INSERT INTO users (id, full_name) SELECT {USER_ID.format(n="n")}, 'Rider ' || n FROM generate_series(0, 1) n;
        INSERT INTO conversations (id, creator_id, recipient_id, created_at, updated_at, {heads})
        VALUES ({conversation}, {creator}, {recipient}, {began}, {until}, {head_values});
        INSERT INTO messages (conversation_id, id, sender_id, text, sent_at, read_at, {column})
        SELECT {conversation}, {NEW_ID.format(n="n")}, CASE n % 2 WHEN 0 THEN {recipient} ELSE {creator} END,
               'message ' || n || ' ' || {TEXT}, {began} + n * interval '1 second', {read_at}, {value}
        FROM generate_series(1, {messages}) n;
        """,
        name,
    )
    # As the autovacuum would, at a moment of its own choice.
    postgres.sql("VACUUM (ANALYZE)", name)
    return name


def empty_conversations(postgres: Postgres, product: Product, secret: str, lanes: int) -> str:
    """A database of this server with conversations for so many lanes, and the table `places` of them; its name."""
    name = "empty_conversations"
    if postgres.has(name):
        return name
    make_schema(postgres, product, secret, name)
    count = lanes * PLACES
    postgres.sql(
        f"""
        INSERT INTO users (id, full_name)
        SELECT {USER_ID.format(n="n")}, 'Rider ' || n FROM generate_series(0, {2 * count - 1}) n;
        INSERT INTO conversations (id, creator_id, recipient_id, created_at, updated_at)
        SELECT {NEW_ID.format(n="n")}, {USER_ID.format(n="2 * n")}, {USER_ID.format(n="2 * n + 1")}, now(), now()
        FROM generate_series(0, {count - 1}) n;
        CREATE TABLE places (lane int, place int, conversation_id bytea NOT NULL, PRIMARY KEY (lane, place));
        INSERT INTO places SELECT n / {PLACES}, n % {PLACES}, {NEW_ID.format(n="n")}
        FROM generate_series(0, {count - 1}) n;
        CREATE SEQUENCE row_ids CACHE 1000 START {count};
        """,
        name,
    )
    postgres.sql("VACUUM (ANALYZE)", name)
    return name


def batch_script(rows: int) -> str:
    """For pgbench: a batch as the server stores it, in one statement; one of several messages without its checks.

    A client keeps to the conversations of its lane, so that none waits for another's locks.
    """
    return single_script() if rows == 1 else several_script(rows)


def single_script() -> str:
    """The server's own statement for a batch of one message."""
    number = ":number::bigint"
    values = {
        "1": NEW_ID.format(n="nextval('row_ids')"), "2": NEW_ID.format(n=number),
        "3": USER_ID.format(n=f"(2 * {number})"), "4": TEXT, "5": "now()",
    }
    lines = (ROOT / "sql/queries/append_message.sql").read_text().splitlines()
    statement = "\n".join(line for line in lines if not line.startswith("--"))
    statement = re.sub(r"\$(\d)", lambda parameter: values[parameter[1]], statement)
    return f"\\set number :client_id * {PLACES} + random(0, {PLACES - 1})\n{statement};\n"


def several_script(rows: int) -> str:
    return f"""\\set first random(0, {PLACES - rows})
WITH moved AS (
    UPDATE conversations
    SET last_seq = last_seq + 1, updated_at = now(), recipient_unread = recipient_unread + 1
    WHERE id = ANY (ARRAY(
        SELECT conversation_id FROM places
        WHERE lane = :client_id AND place BETWEEN :first AND :first + {rows - 1}
    ))
    RETURNING id, last_seq, creator_id, updated_at
)
INSERT INTO messages (conversation_id, seq, id, sender_id, text, sent_at)
SELECT id, last_seq, {NEW_ID.format(n="nextval('row_ids')")}, creator_id, {TEXT}, updated_at
FROM moved;
"""


def make_schema(postgres: Postgres, product: Product, secret: str, database: str) -> None:
    postgres.fresh(database)
    if product.is_ours:
        command = [product.command[0], "migrate"]
        run(command, postgres.directory, 60, environment_of(product, postgres, database, secret))
    else:
        postgres.sql_file(SCHEMA_OF_PEERS, database)
