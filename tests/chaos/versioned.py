"""A process in the version that a file names: `python -m tests.chaos.versioned DIR NAME WORDS…`.

`DIR/NAME`, or else `DIR/default`, holds the folder of a checkout; its command line is run with WORDS, in this process.
So whoever changes the file and stops the process has its supervisor start it in the other version.
"""

import os
import sys
from pathlib import Path

DEFAULT = "default"


def checkout(versions: Path, name: str) -> Path:
    """The folder whose version `name` runs in."""
    own = versions / name
    return Path((own if own.exists() else versions / DEFAULT).read_text().strip())


def main() -> None:
    versions, name, *words = sys.argv[1:]
    # the working folder comes first on the path of `python -m`, before what is installed
    os.chdir(checkout(Path(versions), name))
    os.execv(sys.executable, [sys.executable, "-m", "cli.main", *words])  # noqa: S606 (it is to be this process)


if __name__ == "__main__":
    main()
