"""The size budget: functions, files, nesting and parameters stay small enough to read at one look."""

import ast
from collections.abc import Iterator
from typing import Any

FUNCTION_LINES, FUNCTION_LINES_HARD = 30, 50
FILE_LINES, FILE_LINES_HARD = 250, 400
NESTING_HARD = 3
PARAMETERS_HARD = 6
# how many may be over the soft budget: the tail is where ugliness hides
TAIL = 0.03

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.With, ast.AsyncWith, ast.Match)


def functions(sources: list[Any]) -> Iterator[tuple[str, Function, str]]:
    """(where, node, its first line) of each function."""
    for source in sources:
        lines = source.text.splitlines()
        for node in ast.walk(source.tree):
            if isinstance(node, Function):
                yield f"{source.path}:{node.lineno} {node.name}", node, lines[node.lineno - 1]


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def depth(node: ast.AST) -> int:
    """How many blocks are inside one another below `node`; an elif continues its if."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        opens = isinstance(child, BLOCKS) and not is_elif
        deepest = max(deepest, depth(child) + opens)
    return deepest


def parameters(node: Function) -> int:
    arguments = node.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def test_no_function_is_longer_than_the_hard_limit(sources: list[Any]) -> None:
    long = [f"{where}: {length(node)}" for where, node, _ in functions(sources) if length(node) > FUNCTION_LINES_HARD]
    assert not long, "\n".join(long)


def test_few_functions_are_over_the_budget(sources: list[Any]) -> None:
    every = list(functions(sources))
    long = [f"{where}: {length(node)}" for where, node, _ in every if length(node) > FUNCTION_LINES]
    assert len(long) <= TAIL * len(every), "\n".join(long)


def test_no_file_is_longer_than_the_hard_limit(sources: list[Any]) -> None:
    sizes = {str(source.path): len(source.text.splitlines()) for source in sources}
    long = {path: size for path, size in sizes.items() if size > FILE_LINES_HARD}
    assert not long


def test_few_files_are_over_the_budget(sources: list[Any]) -> None:
    sizes = {str(source.path): len(source.text.splitlines()) for source in sources}
    long = {path: size for path, size in sizes.items() if size > FILE_LINES}
    assert len(long) <= TAIL * len(sizes), long


def test_blocks_are_nested_three_deep_at_most(sources: list[Any]) -> None:
    deep = [f"{where}: {depth(node)}" for where, node, _ in functions(sources) if depth(node) > NESTING_HARD]
    assert not deep, "\n".join(deep)


def test_functions_take_six_parameters_at_most(sources: list[Any]) -> None:
    # an exception carries its reason behind the same mark that ruff wants
    many = [
        f"{where}: {parameters(node)}"
        for where, node, line in functions(sources)
        if parameters(node) > PARAMETERS_HARD and "noqa: PLR0913 - " not in line
    ]
    assert not many, "\n".join(many)
