"""`python -m tests.house.plain WORDS…`: a command as in a plain installation, where no extra brought its packages."""

import importlib.metadata
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from packaging.requirements import Requirement


class Finder(PathFinder):
    """Finds what is installed, but for what is in `absent`."""

    absent: set[str] = set()

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return None if fullname.split(".", maxsplit=1)[0] in cls.absent else super().find_spec(fullname, path, target)


def extra_packages() -> set[str]:
    """What can be imported here and belongs to nothing that `pip install structured-prompt` brings."""
    brought = set(_needed("structured-prompt", set()))
    return {
        package
        for package, owners in importlib.metadata.packages_distributions().items()
        if not any(_same(owner) in brought for owner in owners)
    }


def _needed(name: str, seen: set[str]) -> Iterator[str]:
    """`name` and, with the extras that each asks for, all that it requires here."""
    wanted = Requirement(name)
    if str(wanted) in seen:
        return
    seen.add(str(wanted))
    yield _same(wanted.name)
    for text in importlib.metadata.requires(wanted.name) or ():
        required = Requirement(text)
        marker = required.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in wanted.extras or {""}):
            required.marker = None
            yield from _needed(str(required), seen)


def _same(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def install() -> None:
    """From here on nothing of an extra can be imported that was not imported before."""
    Finder.absent = extra_packages()
    sys.meta_path[sys.meta_path.index(PathFinder)] = Finder


if __name__ == "__main__":
    install()
    from cli.main import run

    run()
