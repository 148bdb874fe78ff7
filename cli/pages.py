"""`python -m cli.pages` writes the generated pages of docs/ but settings.md; `--check` fails when one is stale."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cli import _command_page, _errors_page, _http_page, _metrics_page, _topics_page

DOCS = Path(__file__).parents[1] / "docs"
PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": _command_page.page,
    "errors.md": _errors_page.page,
    "http.md": _http_page.page,
    "metrics.md": _metrics_page.page,
    "topics.md": _topics_page.page,
}


def main(arguments: list[str]) -> int:
    texts = {DOCS / name: page() for name, page in PAGES.items()}
    if arguments == ["--check"]:
        stale = [path.name for path, text in texts.items() if not path.exists() or path.read_text() != text]
        if stale:
            print(f"{', '.join(stale)} is stale: run `make docs` and commit it", file=sys.stderr)
        return int(bool(stale))
    for path, text in texts.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
