"""What destinations and their answers say, as columns hold it."""

from dataclasses import asdict

import orjson

from domain.webhooks.kinds import Bucket


def stored(said: str) -> str:
    """Without NUL, which text cannot hold; others write these texts."""
    return said.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def bucket_text(one: Bucket | None) -> str | None:
    return None if one is None else orjson.dumps(asdict(one)).decode()


def bucket(text: str | None) -> Bucket | None:
    return None if text is None else Bucket(**orjson.loads(text))
