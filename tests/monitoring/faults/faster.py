"""The rules with every duration divided: windows, `for` and offsets. Bounds stay as they are, those of ages too."""

import re
from pathlib import Path
from typing import Any

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"(\[|\bfor: |\boffset )(\d+)([smhd])\b")


def divided(text: str, by: int) -> str:
    """Raises ValueError where one is no whole number of seconds any more."""

    def shorter(match: re.Match[str]) -> str:
        seconds, rest = divmod(int(match[2]) * UNITS[match[3]], by)
        if rest:
            raise ValueError(f"{match[0]} is not divided by {by} into whole seconds")
        return f"{match[1]}{seconds}s"

    return DURATION.sub(shorter, text)


def copies(rules: Path, folder: Path, by: int) -> list[Path]:
    found = []
    for path in sorted(rules.glob("*.yml")):
        copy = folder / f"rules-{path.name}"
        copy.write_text(path.read_text() if by == 1 else divided(path.read_text(), by))
        found.append(copy)
    return found


def hasten(config: dict[str, Any], by: int) -> None:
    """Looked at more often in the same measure, but not more than once a second."""
    for name in ("scrape_interval", "scrape_timeout", "evaluation_interval"):
        seconds = int(config["global"][name].removesuffix("s"))
        config["global"][name] = f"{max(1, seconds // by)}s"
