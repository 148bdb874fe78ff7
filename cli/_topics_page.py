"""docs/topics.md, from topics/schemas/asyncapi.json and the words of api/words.yaml: AsyncAPI, to be read."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import orjson
import yaml

from cli._fields import absent, kind
from cli._http_parts import block

HEAD = """\
# Topics

Generated from `topics/schemas/asyncapi.json` (AsyncAPI 3, also `$API_URL/asyncapi.json`) by `make docs`: do not edit.

Values are UTF-8 JSON. All names carry the prefix of `STRUCTURED_PROMPT_TOPIC_PREFIX` where there is one. How long
records are kept is what `topics apply` sets. Programs: [publishing](publishing.md), [consuming](consuming.md).

| topic | message | key | written by | a value has at most | kept |
| --- | --- | --- | --- | --- | --- |
"""
SHOWN = ("PromptRequest", "PromptResult", "UsageRecord", "LifecycleEvent", "DeadLetter")
"""The others are for our own processes: they may change with any version."""
DAY_MS = 86_400_000
Schema = Mapping[str, Any]


def page() -> str:
    """The whole page."""
    document = orjson.loads(files("topics").joinpath("schemas", "asyncapi.json").read_bytes())
    words = yaml.safe_load(files("api").joinpath("words.yaml").read_text(encoding="utf-8"))["fields"]
    lines = [HEAD + "\n".join(_topic(channel) for channel in document["channels"].values())]
    lines += ["\n## Headers\n| header | what it says |\n| --- | --- |", *_headers(document)]
    parts: dict[str, Schema] = {}
    for name in SHOWN:
        message, schema = document["components"]["messages"][name], document["components"]["schemas"][name]
        parts |= schema.get("$defs", {})
        lines += [f"\n## {name}\n{message['summary']}\n", *_fields(name, schema, words)]
        lines.append(block(message["examples"][0]["payload"]))
    lines.append("\n## Parts of messages")
    for name, part in sorted(parts.items()):
        if "properties" in part:
            lines += [f"\n### {name}\n{_first(part)}\n", *_fields(name, part, words)]
    return "\n".join(lines) + "\n"


def _topic(channel: Schema) -> str:
    key, written, most = channel["description"].removesuffix(".").split(". ")
    (message,) = channel["messages"]
    shown = f"[{message}](#{message.lower()})" if message in SHOWN else f"{message}, our own"
    settings = channel["bindings"]["kafka"]["topicConfiguration"]
    kept = f"{settings['retention.ms'] // DAY_MS} days" if "retention.ms" in settings else "the last of each key"
    size = f"{int(most.removeprefix('A value has at most ').removesuffix(' bytes')) // 1024:,} KiB"
    return (
        f"| `{channel['address']}` | {shown} | {key.removeprefix('Key: ')} | {written.removeprefix('Written by: ')} "
        f"| {size} | {kept} |"
    )


def _headers(document: Schema) -> Iterator[str]:
    for name, header in document["components"]["schemas"]["Headers"]["properties"].items():
        yield f"| `{name}` | {header['description']} |"


def _fields(message: str, schema: Schema, words: Mapping[str, str]) -> Iterator[str]:
    yield "| field | type | default | what it says |\n| --- | --- | --- | --- |"
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        said = field.get("description") or words.get(f"{message}.{name}") or words[name]
        default = "required" if name in required else absent(field.get("default"))
        yield f"| `{name}` | {kind(field, lambda part: f'[{part}](#{part.lower()})')} | {default} | {said} |"


def _first(part: Schema) -> str:
    """The first sentence of what a part says of itself."""
    return re.split(r"(?<=\.)\s", str(part.get("description", "")), maxsplit=1)[0]
