"""What shellcheck says of the scripts, and of what the steps of workflows run.

A step is read as its runner runs it (bash), with what stands for an expression of GitHub in place of it.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from ops.scan.report import Finding, ScannerFailed, Seen, Tools

_EXPRESSION = re.compile(r"\$\{\{.*?\}\}")
_BASH = "#!/bin/bash\n"


def look(tools: Tools, root: Path, files: Sequence[str]) -> Seen:
    with tempfile.TemporaryDirectory() as directory:
        scripts = dict(_written(root, files, Path(directory)))
        report = tools.report(root, ["shellcheck", "--format", "json1", "--severity", "style", *scripts], (0, 1))
    found = [
        Finding(*_where(scripts[one["file"]], one["line"]), f"SC{one['code']}: {one['message']}")
        for one in report["comments"]
    ]
    return Seen(len(files), tuple(found))


def _written(root: Path, files: Sequence[str], directory: Path) -> Iterator[tuple[str, tuple[str, int]]]:
    """What shellcheck reads, and for each where it begins in which file of ours."""
    for name in files:
        if not name.endswith((".yml", ".yaml")):
            yield name, (name, 0)
            continue
        for number, (line, text) in enumerate(_steps(root / name)):
            script = directory / f"{len(list(directory.iterdir()))}-{number}.sh"
            script.write_text(_BASH + _EXPRESSION.sub("expression", text))
            yield str(script), (name, line - len(_BASH.splitlines()))


def _where(begin: tuple[str, int], line: int) -> tuple[str, int]:
    return begin[0], begin[1] + line


def _steps(workflow: Path) -> Iterator[tuple[int, str]]:
    """Each `run` with the number of the line before it."""
    try:
        root = yaml.compose(workflow.read_text(), yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ScannerFailed(f"{workflow} is no YAML: {error}") from error
    yield from _runs(root)


def _runs(node: Any) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _runs(one)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "run" and isinstance(value, yaml.ScalarNode):
                yield value.start_mark.line + (value.style in ("|", ">")), value.value
            yield from _runs(value)
