"""JSON Schemas of every message and an AsyncAPI 3 document, from the models and the table.

`python -m topics.generate` writes topics/schemas/, `--check` fails when what is there differs.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter

from topics import headers
from topics.call import PromptCall
from topics.examples import EXAMPLES
from topics.records import ControlMessage, DeadLetter, LifecycleEvent, UsageRecord
from topics.request import PromptRequest
from topics.result import PromptResult
from topics.table import TABLE, Topic

DIRECTORY = Path(__file__).parent / "schemas"
VERSION = "1.0.0"
MESSAGES: Mapping[str, tuple[Any, headers.Envelope]] = {
    "PromptRequest": (PromptRequest, headers.REQUEST),
    "PromptCall": (PromptCall, headers.CALL),
    "PromptResult": (PromptResult, headers.RESULT),
    "UsageRecord": (UsageRecord, headers.USAGE),
    "LifecycleEvent": (LifecycleEvent, headers.EVENT),
    "DeadLetter": (DeadLetter, headers.DEAD_LETTER),
    "ControlMessage": (ControlMessage, headers.CONTROL),
}
_TRACEPARENT = "W3C trace context, e.g. 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def files() -> dict[str, bytes]:
    """Every generated file by its name in the directory."""
    generated = {f"{name}.json": _json(_schema(name)) for name in MESSAGES}
    generated["asyncapi.json"] = _json(asyncapi())
    return generated


def asyncapi() -> dict[str, Any]:
    """The topics as an AsyncAPI 3.0 document (https://www.asyncapi.com/docs/reference/specification/v3.0.0)."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Structured Prompt",
            "version": VERSION,
            "description": "Prompts in, validated and billed answers out. All names may carry a prefix "
            "(STRUCTURED_PROMPT_TOPIC_PREFIX). Values are UTF-8 JSON, headers CloudEvents 1.0 in binary mode.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TABLE},
        "operations": {f"{_action(topic)}.{topic.name}": _operation(topic) for topic in TABLE},
        "components": {
            "messages": {name: _message(name, envelope) for name, (_, envelope) in MESSAGES.items()},
            "schemas": {name: _schema(name, "#/components/schemas") for name in MESSAGES}
            | {"Headers": _headers_schema()},
        },
    }


def main(arguments: list[str]) -> int:
    """0 when the files are as they should be (now), 1 when `--check` finds a difference."""
    wanted = files()
    actual = {path.name: path.read_bytes() for path in DIRECTORY.glob("*.json")}
    stale = sorted(name for name in wanted.keys() | actual.keys() if wanted.get(name) != actual.get(name))
    if "--check" in arguments:
        if stale:
            sys.stderr.write(f"topics/schemas is out of date ({', '.join(stale)}): run python -m topics.generate\n")
        return 1 if stale else 0
    DIRECTORY.mkdir(exist_ok=True)
    for name in stale:
        if name in wanted:
            (DIRECTORY / name).write_bytes(wanted[name])
        else:
            (DIRECTORY / name).unlink()
    return 0


def _schema(name: str, components: str | None = None) -> dict[str, Any]:
    """What a reader may rely on; of requests, what a writer may send.

    Inside the AsyncAPI document each schema keeps its own definitions, so references start at its place there.
    """
    model, _ = MESSAGES[name]
    root = f"{components}/{name}" if components else "#"
    schema = TypeAdapter(model).json_schema(
        mode="validation" if name == "PromptRequest" else "serialization", ref_template=f"{root}/$defs/{{model}}"
    )
    if components is None:
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name, **schema}
    return schema


def _message(name: str, envelope: headers.Envelope) -> dict[str, Any]:
    model, _ = MESSAGES[name]
    shown = {"examples": [{"name": name, "payload": EXAMPLES[name]}]} if name in EXAMPLES else {}
    return {
        "name": envelope.type,
        "title": name,
        "summary": (model.__doc__ or name).strip().splitlines()[0],
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"$ref": f"#/components/schemas/{name}"},
        **shown,
    }


def _channel(topic: Topic) -> dict[str, Any]:
    retention = {} if topic.retention is None else {"retention.ms": int(topic.retention.total_seconds() * 1000)}
    cleanup = ["compact"] if topic.retention is None else ["delete"]
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}. Written by: {topic.writers}. A value has at most {topic.max_bytes} bytes.",
        "messages": {topic.value: {"$ref": f"#/components/messages/{topic.value}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": cleanup, **retention},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _action(topic: Topic) -> str:
    """From the service's point of view: requests come in, everything else goes out."""
    return "receive" if topic.value == "PromptRequest" else "send"


def _operation(topic: Topic) -> dict[str, Any]:
    channel = f"#/channels/{topic.name}"
    return {
        "action": _action(topic),
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{topic.value}"}],
    }


def _headers_schema() -> dict[str, Any]:
    texts = {
        "ce_id": "Identifies the row: a record produced twice has the same.",
        "ce_type": "Kind and version of the message.",
        "ce_source": "The service.",
        "ce_specversion": "1.0",
        "ce_time": "RFC 3339, from the row.",
        "content-type": "application/json",
        "traceparent": _TRACEPARENT,
    }
    return {
        "type": "object",
        "description": "CloudEvents 1.0 binary mode; a publisher of requests may leave them out. "
        "Other headers of a request are copied to its result.",
        "properties": {name: {"type": "string", "description": text} for name, text in texts.items()},
    }


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
