"""Programs that are not Python's: those of `make tools` first, then the machine's."""

import shutil
from pathlib import Path

BUILT = Path(__file__).parents[2] / ".tools"


def found(*names: str) -> str | None:
    """The path of the first of `names` that can be run; None when there is none."""
    built = (shutil.which(name, path=str(BUILT)) for name in names)
    here = (shutil.which(name) for name in names)
    return next((path for path in (*built, *here) if path), None)
