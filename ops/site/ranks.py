"""A hook of MkDocs: in the search of the site, pages that explain a thing come before notes that name it.

Runbooks and decisions are short, so that a word weighs more in them than in the page that is about it.
"""

from typing import Any

NOTES = ("runbooks/", "decisions/")
WEIGHT = 0.3
"""Material's `boost` of a page: 1 where none is said."""


def on_page_markdown(markdown: str, *, page: Any, **_others: object) -> str:
    """The page's text as it is; its weight is noted beside it."""
    if page.file.src_uri.startswith(NOTES):
        page.meta.setdefault("search", {}).setdefault("boost", WEIGHT)
    return markdown
