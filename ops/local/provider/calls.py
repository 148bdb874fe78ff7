"""One call, read out of either dialect's request body.

Sources: OpenAI API reference, "Create chat completion"; Anthropic API reference, "Messages" and "Structured outputs".
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from ops.local.provider.answers.answering import embedded_schema, told_schema

Dialect = Literal["openai", "anthropic"]

_DIRECTIVE = re.compile(r"\[\[simulate:\s*([\w-]+)\s*\]\]")
_FEEDBACK = re.compile(r"\b(?:schema|valid|invalid|json|required|correct|corrected|fix|format)\b", re.IGNORECASE)


class BadCall(ValueError):
    """The body is not a call of the dialect; answered with status 400 and this message."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a call asks for, whichever dialect it came in.

    `input_tokens` is about a quarter of the characters of its messages. `tool` is set when the answer has to be the
    arguments of that tool. `reasked` says that the messages contain an earlier assistant answer. `simulate` is the
    kind named by a `[[simulate: KIND]]` in a prompt.
    """

    dialect: Dialect
    model: str
    question: str
    instructions: str
    input_tokens: int
    reasked: bool
    simulate: str | None
    schema: Any
    tool: str | None
    stream: bool
    include_usage: bool
    max_tokens: int | None


def tokens(text: str) -> int:
    """About four characters a token, at least one for any text."""
    return (len(text) + 3) // 4


def parse(body: bytes, dialect: Dialect) -> Call:
    """The call in a request's body. Raises BadCall."""
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadCall(f"The body is not JSON: {error}.") from error
    if not isinstance(sent, dict):
        raise BadCall("The body must be a JSON object.")
    model, messages = sent.get("model"), sent.get("messages")
    if not isinstance(model, str) or not model:
        raise BadCall("`model` is required and must be a string.")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise BadCall("`messages` must be a list of at least one message object.")
    return _call(sent, model, messages, dialect)


def _call(sent: dict[str, Any], model: str, messages: list[dict[str, Any]], dialect: Dialect) -> Call:
    turns = [(str(message.get("role")), _text(message.get("content"))) for message in messages]
    turns = [("system", _text(sent.get("system"))), *turns] if sent.get("system") else turns
    instructions = "\n".join(text for role, text in turns if role in ("system", "developer"))
    told = [text for role, text in turns if role != "assistant" and "[[simulate:" in text]
    found = _DIRECTIVE.search(told[0]) if told else None
    question = _question(turns)
    schema, tool = _wanted(sent, dialect, instructions + "\n" + question)
    if schema is None and tool is None:
        schema = told_schema(instructions)
    most = sent.get("max_completion_tokens") or sent.get("max_tokens")
    options = sent.get("stream_options")
    return Call(
        dialect=dialect,
        model=model,
        question=question,
        instructions=instructions,
        input_tokens=sum(tokens(text) + 4 for _, text in turns),
        reasked=any(role == "assistant" for role, _ in turns),
        simulate=found.group(1) if found else None,
        schema=schema,
        tool=tool,
        stream=sent.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        max_tokens=most if isinstance(most, int) and most > 0 else None,
    )


def _text(content: Any) -> str:
    """The text of a message: a string, or the text parts of a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


def _question(turns: list[tuple[str, str]]) -> str:
    """The last thing the user asked; a user turn after an answer that only complains about its form is no question."""
    asked = [index for index, (role, _) in enumerate(turns) if role == "user"]
    for index in reversed(asked):
        answered = any(role == "assistant" for role, _ in turns[:index])
        if not (answered and _FEEDBACK.search(turns[index][1])):
            return turns[index][1]
    return turns[asked[0]][1] if asked else turns[-1][1]


def _wanted(sent: dict[str, Any], dialect: Dialect, prompt: str) -> tuple[Any, str | None]:
    """The schema of the answer (None for text) and the tool that takes it."""
    form = sent.get("response_format") if dialect == "openai" else _anthropic_form(sent)
    if isinstance(form, dict) and form.get("type") == "json_schema":
        wrapper = form.get("json_schema", form)
        if not isinstance(wrapper, dict) or "schema" not in wrapper:
            raise BadCall("A json_schema format needs a `schema`.")
        return wrapper["schema"], None
    if isinstance(form, dict) and form.get("type") == "json_object":
        return embedded_schema(prompt), None
    return _tool(sent)


def _anthropic_form(sent: dict[str, Any]) -> Any:
    config = sent.get("output_config")
    return config.get("format") if isinstance(config, dict) else sent.get("output_format")


def _tool(sent: dict[str, Any]) -> tuple[Any, str | None]:
    """The parameters and the name of the tool that `tool_choice` forces; (None, None) when it forces none."""
    choice, tools = sent.get("tool_choice"), sent.get("tools")
    if not isinstance(tools, list) or not tools or choice in (None, "auto", "none"):
        return None, None
    named = choice.get("function", choice).get("name") if isinstance(choice, dict) else None
    if isinstance(choice, dict) and named is None and choice.get("type") != "any":
        return None, None
    for tool in tools:
        one = tool.get("function", tool) if isinstance(tool, dict) else {}
        if named in (None, one.get("name")):
            return one.get("parameters", one.get("input_schema", {"type": "object"})), str(one.get("name"))
    raise BadCall(f"`tool_choice` names the tool {named!r}, which is not among `tools`.")
