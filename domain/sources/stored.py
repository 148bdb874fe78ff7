"""Sources that operators made over HTTP: the fields of the file, with secrets themselves in the place of variables.

A secret is taken out and sealed. What is left is exactly an entry of the file, whose variables are found in what was
sealed and nowhere else: nobody reaches the environment of a process by naming a variable of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from domain.sources.model import Source, Wrong, one_of
from domain.webhooks.sealing import seal, unseal

_SECRETS = (
    ("webhook", "secret", "secret_env"),
    ("registry", "auth", "auth_env"),
    ("bucket", "access_key", "access_key_env"),
    ("bucket", "secret_key", "secret_key_env"),
)
"""Part of an entry, what is given over HTTP, and the field of the file that it stands for."""
_NOBODY = ""
"""No tenant has this name: what is sealed for a source opens nothing of theirs."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A source as it is kept. fields: an entry of the file; sealed: the values of its variables, empty without any."""

    name: str
    fields: Mapping[str, Any]
    sealed: bytes
    changed_at: datetime


def parted(asked: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """(the fields as the file has them, what their variables stand for)."""
    fields, values = dict(asked), dict[str, str]()
    for part, given, variable in _SECRETS:
        entry = fields.get(part)
        if not entry or given not in entry:
            continue
        rest = {key: value for key, value in entry.items() if key != given}
        if entry[given] is not None:
            values[_variable(part, given)] = entry[given]
            rest[variable] = _variable(part, given)
        fields[part] = rest
    return fields, values


def checked(name: str, fields: Mapping[str, Any], values: Mapping[str, str]) -> Source:
    """By the rules of the file. Raises Wrong, in the words of who gave the secrets themselves."""
    try:
        return one_of(name, fields, values)
    except Wrong as error:
        raise Wrong([_told(reason) for reason in error.reasons]) from None


def kept(name: str, fields: Mapping[str, Any], values: Mapping[str, str], pepper: bytes, now: datetime) -> Stored:
    """Raises MissingExtra where something is to be sealed without cryptography."""
    plain = orjson.dumps(values).decode()
    return Stored(name, fields, seal(pepper, _NOBODY, _place(name), plain) if values else b"", now)


def opened(stored: Stored, pepper: bytes) -> Source:
    """Raises Wrong, Permanent where another pepper sealed it, MissingExtra."""
    values = orjson.loads(unseal(pepper, _NOBODY, _place(stored.name), stored.sealed)) if stored.sealed else {}
    return checked(stored.name, stored.fields, values)


def shown(fields: Mapping[str, Any]) -> dict[str, Any]:
    """As it was put; null stands for each secret."""
    found = dict(fields)
    for part, given, variable in _SECRETS:
        if found.get(part) and variable in found[part]:
            rest = {key: value for key, value in found[part].items() if key != variable}
            found[part] = {**rest, given: None}
    return found


def _told(reason: str) -> str:
    for part, given, variable in _SECRETS:
        reason = reason.replace(_variable(part, given), f"{part}.{given}").replace(variable, given)
    return reason


def _variable(part: str, given: str) -> str:
    return f"{part}_{given}".upper()


def _place(name: str) -> str:
    return f"source {name}"
