"""One tab of a spreadsheet: its columns, its marks, and rows with new marks in one step.

Everything in a batchUpdate takes effect together or not at all, and counts as one request
(https://developers.google.com/sheets/api/guides/batch). A mark is developer metadata of the tab
(https://developers.google.com/sheets/api/guides/metadata), whose ids are unique in a spreadsheet.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from connectors.google.access import Access, Answered
from domain.errors import Unavailable
from domain.sinks.model import Place, parse_place, place_text

KEY = "structured-prompt"
ENDPOINT = "https://sheets.googleapis.com"
SCOPES = ("https://www.googleapis.com/auth/spreadsheets",)
REMEDIES = {
    400: "if the spreadsheet is full (10,000,000 cells), begin another one",
    401: "check the credentials",
    403: "share the spreadsheet with the service account as an editor, and enable the Sheets API of its project",
    404: "check the spreadsheet's id: it is what stands between /d/ and /edit in its address",
    429: "the quota of requests a minute is used up; ask Google for more, or send fewer and larger batches",
}
QUOTA_WAIT_S = 30.0
"""Quotas are by the minute, and a 429 of theirs mostly names no time."""
KEPT = 4
"""Marks of a partition that stay, so that a request which comes late finds its mark taken."""


@dataclass(frozen=True, slots=True)
class Mark:
    """`next` is the offset behind the last record that is in the tab, or is none of its rows."""

    id: int
    next: int


@dataclass(slots=True)
class Tab:
    """As it was read last. `columns` are the names in its first row, `width` how many it has room for; marks are in
    their order, the newest last.
    """

    id: int
    columns: list[str]
    width: int
    marks: dict[Place, list[Mark]] = field(default_factory=dict)

    def next(self, place: Place) -> int:
        return self.marks[place][-1].next if place in self.marks else 0

    def after(self, place: Place, offset: int) -> Mark:
        """The mark that goes on from the newest one. Whoever goes on from there gives it the same id: only one can."""
        taken = {mark.id for marks in self.marks.values() for mark in marks}
        salt = 0
        while (id := _id(f"{self.id} {place_text(place)} {self.next(place)} {salt}")) in taken:
            salt += 1
        return Mark(id, offset)


class Spreadsheet:
    def __init__(self, access: Access, id: str, title: str) -> None:
        self._access = access
        self._path = f"/v4/spreadsheets/{quote(id, safe='')}"
        self._title = title

    async def look(self, columns: Sequence[str]) -> Tab:
        """The tab with its marks; made where it is missing, with the columns that it lacks. Raises Unavailable."""
        found = await self._tab()
        if found is None:
            grid = {"frozenRowCount": 1, "rowCount": 2, "columnCount": len(columns)}
            await self._update([{"addSheet": {"properties": {"title": self._title, "gridProperties": grid}}}])
            found = await self._tab()
        if found is None:
            raise Unavailable(f"the tab {self._title!r} was made and is not there; it is looked for again")
        head = await self._call("GET", f"/values/{quote(self._title, safe='')}!1:1")
        given = found["properties"]
        names = [str(name) for name in (head.get("values") or [[]])[0]]
        tab = Tab(int(given["sheetId"]), names, int(given["gridProperties"]["columnCount"]))
        if tab.columns and not set(columns) & set(tab.columns):
            raise Unavailable(
                f"the first row of the tab {self._title!r} names none of our columns: it is somebody's own table; "
                "name another tab, which is made (docs/sinks.md)"
            )
        await self._widen(tab, columns)
        tab.marks = _marks(found.get("developerMetadata", []))
        return tab

    async def append(self, tab: Tab, rows: Sequence[dict[str, Any]], marks: dict[Place, Mark]) -> None:
        """Rows and marks together, or neither; moves `tab` on. Raises Unavailable, also where a mark is taken."""
        requests: list[dict[str, Any]] = [_create(tab.id, place, mark) for place, mark in marks.items()]
        if rows:
            cells = [{"values": [row.get(name, {}) for name in tab.columns]} for row in rows]
            requests.append({"appendCells": {"sheetId": tab.id, "rows": cells, "fields": "userEnteredValue"}})
        kept = {place: [*tab.marks.get(place, []), mark] for place, mark in marks.items()}
        requests += [_delete(old) for marks_of in kept.values() for old in marks_of[:-KEPT]]
        await self._update(requests)
        tab.marks |= {place: marks_of[-KEPT:] for place, marks_of in kept.items()}

    async def close(self) -> None:
        await self._access.close()

    async def _tab(self) -> Any:
        properties = "properties(sheetId,title,gridProperties(columnCount))"
        fields = f"sheets({properties},developerMetadata(metadataId,metadataKey,metadataValue))"
        found = await self._call("GET", f"?fields={quote(fields)}")
        return next((one for one in found.get("sheets", []) if one["properties"]["title"] == self._title), None)

    async def _widen(self, tab: Tab, columns: Sequence[str]) -> None:
        lacking = [name for name in columns if name not in tab.columns]
        if not lacking:
            return
        at = {"sheetId": tab.id, "rowIndex": 0, "columnIndex": len(tab.columns)}
        names = [{"userEnteredValue": {"stringValue": name}} for name in lacking]
        requests: list[dict[str, Any]] = []
        # cells beyond the last column are refused; those of a column too many would count for the spreadsheet's end
        if (more := len(tab.columns) + len(lacking) - tab.width) > 0:
            requests.append({"appendDimension": {"sheetId": tab.id, "dimension": "COLUMNS", "length": more}})
        requests.append({"updateCells": {"start": at, "rows": [{"values": names}], "fields": "userEnteredValue"}})
        await self._update(requests)
        tab.columns += lacking
        tab.width = max(tab.width, len(tab.columns))

    async def _update(self, requests: list[dict[str, Any]]) -> None:
        await self._call("POST", ":batchUpdate", {"requests": requests})

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            return await self._access.call(method, self._path + path, body)
        except Answered as error:
            if error.status == 429 and error.retry_after is None:
                error.retry_after = QUOTA_WAIT_S
            raise


def _marks(found: Iterable[dict[str, Any]]) -> dict[Place, list[Mark]]:
    marks: dict[Place, list[Mark]] = {}
    for one in found:
        place, _, offset = str(one.get("metadataValue", "")).partition("@")
        if one.get("metadataKey") == KEY and offset.isdigit():
            marks.setdefault(parse_place(place), []).append(Mark(int(one["metadataId"]), int(offset)))
    return {place: sorted(found, key=lambda mark: mark.next) for place, found in marks.items()}


def _create(tab: int, place: Place, mark: Mark) -> dict[str, Any]:
    metadata = {
        "metadataId": mark.id,
        "metadataKey": KEY,
        "metadataValue": f"{place_text(place)}@{mark.next}",
        "location": {"sheetId": tab},
        "visibility": "DOCUMENT",
    }
    return {"createDeveloperMetadata": {"developerMetadata": metadata}}


def _delete(mark: Mark) -> dict[str, Any]:
    return {"deleteDeveloperMetadata": {"dataFilter": {"developerMetadataLookup": {"metadataId": mark.id}}}}


def _id(text: str) -> int:
    """From 1 to 2^31 - 1."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % (2**31 - 1) + 1
