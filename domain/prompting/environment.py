"""The part of Jinja2 a template may use: text, variables, conditions, loops over variables, a few filters.

No calls, no arithmetic, no imports and no attributes of Python objects, so that a template can neither reach out nor
run away. Undefined names are errors.
"""

from collections.abc import Callable
from typing import Any

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

Render = Callable[[dict[str, Any]], str]

MAX_LOOPS = 2
_FILTERS = frozenset(
    {"capitalize", "default", "first", "join", "last", "length", "list", "lower", "round", "sort"}
    | {"title", "tojson", "trim", "truncate", "unique", "upper", "wordcount"}
)
_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Filter, nodes.Test, nodes.If,
    nodes.For, nodes.Getattr, nodes.Getitem, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.CondExpr, nodes.Concat, nodes.List, nodes.Keyword,
)  # fmt: skip


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in _FILTERS}
    return environment


_ENVIRONMENT = _environment()


def compile_text(source: str) -> tuple[Render, frozenset[str]]:
    """A function from variables to text, and the names it uses. Raises ValueError saying what is not allowed.

    The function raises jinja2.TemplateError where a variable lacks what the template asks of it.
    """
    try:
        tree = _ENVIRONMENT.parse(source)
        _refuse_the_rest(tree)
        template = _ENVIRONMENT.from_string(source)
    except TemplateError as error:
        raise ValueError(f"line {getattr(error, 'lineno', 1)}: {error.message}") from error
    return template.render, frozenset(find_undeclared_variables(tree))


def _refuse_the_rest(tree: nodes.Node, loops: int = 0) -> None:
    for node in tree.iter_child_nodes():
        inside = loops + isinstance(node, nodes.For)
        reason = _refusal(node) if inside <= MAX_LOOPS else f"loops nest deeper than {MAX_LOOPS}"
        if reason:
            raise ValueError(f"line {node.lineno}: {reason}")
        _refuse_the_rest(node, inside)


def _refusal(node: nodes.Node) -> str | None:
    if not isinstance(node, _NODES):
        return f"{type(node).__name__} is not allowed in a template"
    if isinstance(node, nodes.Filter) and node.name == "tojson" and (node.args or node.kwargs):
        return "tojson takes no arguments here"  # an indent of a million would fill the memory
    return None
