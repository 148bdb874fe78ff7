"""What import-linter cannot say: rooms are declared, their names are ours, only the doors read the environment."""

import ast
import configparser
import importlib.metadata
import re
from pathlib import Path
from typing import Any

# directories at the root that hold no program of ours
BESIDE = {"tests", "benchmarks", "docs", "requirements", "sdk", "dashboard"}


def test_every_top_level_package_is_a_declared_room(root: Path, rooms: tuple[str, ...]) -> None:
    config = configparser.ConfigParser()
    config.read(root / ".importlinter")
    assert config["importlinter"]["root_packages"].split() == list(rooms)
    found = {path.parent.name for path in root.glob("*/*.py") if not path.parent.name.startswith(".")}
    assert found - BESIDE <= set(rooms)
    assert not list(root.glob("*.py"))


def test_every_folder_of_a_room_is_a_package(root: Path, sources: list[Any]) -> None:
    folders = {source.path.parent for source in sources}
    lacking = [str(folder) for folder in folders if not (root / folder / "__init__.py").exists()]
    # migrations are scripts that Alembic finds by path
    assert [folder for folder in lacking if "migrations" not in folder] == []


def test_no_installed_distribution_has_one_of_our_names(rooms: tuple[str, ...]) -> None:
    providers = importlib.metadata.packages_distributions()
    clashes = {room: set(providers.get(room, [])) - {"structured-prompt"} for room in rooms}
    assert {room: others for room, others in clashes.items() if others} == {}


def test_only_main_and_the_command_line_read_the_environment(sources: list[Any]) -> None:
    readers = {
        str(source.path)
        for source in sources
        for line in source.text.splitlines()
        # to set a variable for a library is not to read one
        if re.search(r"\bos\.(environ|getenv)\b(?!\[[^]]+\] = |\.setdefault\()", line)
    }
    allowed = {path for path in readers if path.startswith("cli/") or Path(path).name == "main.py"}
    # a program that is started by hand
    assert readers - allowed - {"ops/local/engines.py"} == set()


def test_no_import_of_ours_hides_behind_type_checking(sources: list[Any], rooms: tuple[str, ...]) -> None:
    hidden = [
        f"{source.path}:{node.lineno}"
        for source in sources
        for block in ast.walk(source.tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] in rooms)
    ]
    assert hidden == []


def test_the_source_leaves_no_notes_to_oneself(sources: list[Any]) -> None:
    marks = ("TO" + "DO", "FIX" + "ME")
    assert [str(source.path) for source in sources if any(mark in source.text for mark in marks)] == []
