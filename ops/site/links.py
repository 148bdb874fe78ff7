"""A hook of MkDocs: links to files of the repository that the site does not hold become their paths.

In the repository they lead to the file; on the site they would lead nowhere.
"""

import posixpath
import re
from typing import Any

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(((?:\.\./)+[^)#\s]*)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, **_others: object) -> str:
    """The page's text as the site shows it."""
    return outside(markdown, posixpath.dirname(page.file.src_uri))


def outside(markdown: str, folder: str) -> str:
    """`markdown` of a page in `folder` (below docs/), without links that leave docs/."""

    def shown(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[2]))
        return f"{link[1]} (`{target.removeprefix('../')}`)" if target.startswith("../") else link[0]

    return LINK.sub(shown, markdown)
