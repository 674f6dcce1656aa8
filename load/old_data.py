"""Writes users.json, conversations.json and messages.json as mongoexport would for a service of a given size, to try and to
time an import: `python3 load/old_data.py --messages 1000000 --out /tmp/old`, then `horsetrust-chat import --from /tmp/old`.

The same numbers make the same files.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

WORDS = "the mare is five years old and calm in traffic could we see her on sunday what do you ask for saddle".split()
BEGAN = datetime(2023, 1, 1, tzinfo=timezone.utc)
DAYS = 700


def main() -> None:
    parser = argparse.ArgumentParser(prog="old_data", description=__doc__.split("\n\n")[0].replace("\n", " "))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")
    parser.add_argument("--users", type=at_least(2), default=20_000, metavar="N", help="users (20000)")
    parser.add_argument("--conversations", type=at_least(1), default=50_000, metavar="N", help="conversations (50000)")
    parser.add_argument("--messages", type=at_least(0), default=1_000_000, metavar="N", help="messages (1000000)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another number, other data (1)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    chance = random.Random(arguments.seed)
    users = [object_id(chance, BEGAN) for _ in range(arguments.users)]
    write(arguments.out / "users.json", (
        {"_id": oid(user), "full_name": f"Rider {number}", "email": f"rider{number}@example.com",
         "profile_picture_url": f"https://pictures.example/{number}.jpg" if number % 3 else None, "__v": 0}
        for number, user in enumerate(users)
    ))
    conversations = []
    for _ in range(arguments.conversations):
        created_at = moment(chance)
        pair = chance.sample(users, 2)
        conversations.append((object_id(chance, created_at), pair, object_id(chance, created_at), created_at))
    write(arguments.out / "conversations.json", (
        {"_id": oid(name), "participants": [oid(user) for user in pair], "horse_id": oid(horse),
         "created_at": date(created_at), "updated_at": date(created_at), "__v": 0}
        for name, pair, horse, created_at in conversations
    ))
    write(arguments.out / "messages.json", (message(chance, conversations) for _ in range(arguments.messages)))


def message(chance: random.Random, conversations: list[tuple[str, list[str], str, datetime]]) -> dict:
    # A few conversations have most of the messages, as it is with people.
    name, pair, _, created_at = conversations[int(len(conversations) * chance.random() ** 2)]
    sent_at = created_at + timedelta(milliseconds=chance.randrange(60 * 86_400_000))
    is_read = chance.random() < 0.95
    read_at = sent_at + timedelta(seconds=chance.randrange(1, 100_000)) if is_read else None
    deleted_at = sent_at + timedelta(seconds=9) if chance.random() < 0.01 else None
    text = " ".join(chance.choices(WORDS, k=chance.randrange(3, 30)))
    return {
        "_id": oid(object_id(chance, sent_at)), "conversation_id": oid(name), "sender_id": oid(chance.choice(pair)),
        "text": text, "is_read": is_read, "read_at": read_at and date(read_at), "sent_at": date(sent_at),
        "deleted_at": deleted_at and date(deleted_at), "__v": 0,
    }


def moment(chance: random.Random) -> datetime:
    return BEGAN + timedelta(milliseconds=chance.randrange(DAYS * 86_400_000))


def object_id(chance: random.Random, at: datetime) -> str:
    return f"{int(at.timestamp()):08x}{chance.getrandbits(64):016x}"


def oid(name: str) -> dict:
    return {"$oid": name}


def date(at: datetime) -> dict:
    return {"$date": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}


def write(path: Path, documents: object) -> None:
    with open(path, "w") as file:
        for document in documents:
            file.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"written: {path}", file=sys.stderr)


def at_least(least: int):
    def parse(text: str) -> int:
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number, {least} or more")
        return int(text)

    return parse


if __name__ == "__main__":
    main()
