"""`python -m cli.settings_page` writes docs/settings.md from domain/settings.py; `--check` fails when it is stale."""

import sys
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from domain.settings import Settings
from domain.sink_settings import OWN

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

HEAD = """\
# Settings

Generated from `domain/settings.py` by `make docs`; do not edit.

Production processes (`structured-prompt api`, `worker`, `sink`, `migrate`, …) read their environment once, at start.
A bad value or an unknown `STRUCTURED_PROMPT_*` stops the start, with all problems at once. An empty value counts as
not set. Any setting may come from a file, as container platforms mount secrets: `NAME_FILE` holds the path.
`structured-prompt up`, `make demo` and `make test` ignore the environment and use the embedded engines only, unless
`--use-env` says otherwise.
"""

PROVIDERS = """
## Provider keys

Keys of model providers keep their usual names (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, …); the model catalogue says
which of its deployments needs which.
"""


def page() -> str:
    """The whole page."""
    fields = [field for field in Settings.model_fields.values() if field.alias]
    outside = [field for field in fields if not str(field.alias).startswith(OWN)]
    own = [field for field in fields if str(field.alias).startswith(OWN)]
    return "\n".join(
        [
            HEAD,
            "## Where the engines are\n",
            _table(outside),
            PROVIDERS,
            "## Our own\n",
            _table(own) + "\n",
        ]
    )


def _table(fields: list[FieldInfo]) -> str:
    rows = [f"| `{f.alias}` | {_kind(f)} | {_default(f)} | {f.description} |" for f in fields]
    return "\n".join(["| variable | value | default | what it does |", "| --- | --- | --- | --- |", *rows])


def _kind(field: FieldInfo) -> str:
    kind, bounds = _plain(field.annotation), _bounds(field)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    names = {int: "integer", float: "number", str: "text", SecretStr: "secret"}
    return names[kind] + (f" {bounds}" if bounds else "")


def _plain(annotation: Any) -> Any:
    """The annotation without its None."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    return next(part for part in get_args(annotation) if part is not NoneType)


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(rule, name):,}"
        for rule in field.metadata
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
    return ", ".join(found)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "–" if value in (None, "") else f"`{value}`"


def main(arguments: list[str]) -> int:
    text = page()
    if arguments == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print(f"{PAGE.name} is stale: run `make docs` and commit it", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
