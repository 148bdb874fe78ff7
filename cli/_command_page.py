"""docs/cli.md, from the command line itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from typer.main import get_command

from cli.main import build

HEAD = """\
# Command line

Generated from the commands by `make docs`; do not edit. `structured-prompt COMMAND --help` says the same.

Commands that read or write the engines take `--data DIR` (the stack in a directory) or `--use-env` (the addresses in
the environment); without either it is the stack in `.local`. Exit codes: 0 done, 1 the work failed, 2 bad usage or
settings.
"""


def page() -> str:
    """The whole page: a section a command."""
    return HEAD + "".join(_section(words, command) for words, command in _commands(get_command(build()), ()))


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield words, command
        return
    for name, inner in command.commands.items():
        yield from _commands(inner, (*words, name))


def _section(words: tuple[str, ...], command: Any) -> str:
    arguments = [_argument(one) for one in command.params if one.param_type_name == "argument"]
    options = [_option(one) for one in command.params if one.param_type_name == "option"]
    usage = " ".join(["structured-prompt", *words, *arguments])
    table = "\n| option | | what it does |\n| --- | --- | --- |\n" + "\n".join(options) + "\n" if options else ""
    return f"\n## {' '.join(words)}\n`{usage}`\n\n{_plain(command.help)}\n{table}"


def _argument(argument: Any) -> str:
    name = (argument.metavar or argument.name or "").upper()
    many = "..." if argument.nargs == -1 else ""
    return f"{name}{many}" if argument.required else f"[{name}]{many}"


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    kind = "flag" if option.is_flag else _kind(option)
    needed = " (required)" if option.required else ""
    given = option.default if isinstance(option.default, str | int | float) and not option.is_flag else None
    default = f" Default: `{given}`." if given not in (None, "") else ""
    return f"| {names} | {kind}{needed} | {_plain(option.help)}{default} |"


def _kind(option: Any) -> str:
    if option.metavar:
        return f"`{option.metavar}`"
    annotation = option.type_descriptor.annotation
    choices = get_args(annotation)
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    return {Path: "path", int: "integer", float: "number"}.get(annotation, "text")


def _plain(text: str | None) -> str:
    """One paragraph, fit for a cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")
