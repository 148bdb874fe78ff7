"""A fake of the Google Sheets API v4, written from its public protocol; no real spreadsheet stands behind it.

https://developers.google.com/sheets/api/reference/rest: spreadsheets.get, values.get, batchUpdate with addSheet,
appendDimension, appendCells, updateCells, createDeveloperMetadata and deleteDeveloperMetadata; a batchUpdate takes
effect whole or not at all, ids of metadata are unique, a user has so many writes a minute.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ID = "1AbC-sheet"
CELLS = 10_000_000
LONGEST = 50_000


class Invalid(Exception):
    """HTTP 400."""


@dataclass
class Tab:
    id: int
    title: str
    width: int = 26
    rows: list[list[Any]] = field(default_factory=list)
    metadata: dict[int, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Sheets:
    """What it holds. `meet` is called before ("update") and after ("updated") a batchUpdate takes effect; where it
    raises Gone the connection breaks.

    quota:    writes that are left; None is no end of them
    denied:   a status that everything is answered with
    kept:     makes what the rows of a new tab go into
    """

    tabs: list[Tab] = field(default_factory=list)
    url: str = ""
    meet: Callable[[str], None] = lambda _: None
    quota: int | None = None
    retry_after: str | None = None
    denied: int | None = None
    cells: int = CELLS
    calls: list[str] = field(default_factory=list)
    kept: Callable[[], list[Any]] = list

    def tab(self, title: str) -> Tab:
        return next(one for one in self.tabs if one.title == title)

    def rows(self, title: str) -> list[dict[str, Any]]:
        """Below the first row, by its names."""
        if not any(one.title == title for one in self.tabs):
            return []
        head, *rows = self.tab(title).rows or [[]]
        return [dict(zip(head, row, strict=False)) for row in rows]

    async def get(self, request: web.Request) -> web.Response:
        assert "developerMetadata" in request.query["fields"]
        found = [
            {
                "properties": {
                    "sheetId": tab.id,
                    "title": tab.title,
                    "gridProperties": {"columnCount": tab.width},
                },
                "developerMetadata": [{"metadataId": id, **one} for id, one in tab.metadata.items()],
            }
            for tab in self.tabs
        ]
        return web.json_response({"sheets": found})

    async def values(self, request: web.Request) -> web.Response:
        title, _, place = request.match_info["range"].rpartition("!")
        assert place == "1:1"
        rows = self.tab(title).rows[:1]
        return web.json_response({"range": place, **({"values": rows} if rows and rows[0] else {})})

    async def update(self, request: web.Request) -> web.StreamResponse:
        given = await request.json()
        if self.quota is not None:
            if self.quota <= 0:
                headers = {"Retry-After": self.retry_after} if self.retry_after else {}
                return refuse(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Write requests'", headers)
            self.quota -= 1
        try:
            self.meet("update")
            before = copy.deepcopy(self.tabs)
            try:
                for one in given["requests"]:
                    ((kind, body),) = one.items()
                    getattr(self, f"_{kind}")(body)
                self._count()
            except Invalid as error:
                self.tabs = before
                return refuse(400, "INVALID_ARGUMENT", f"Invalid requests: {error}")
            self.meet("updated")
        except Gone:
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"replies": []})

    def _count(self) -> None:
        if sum(len(tab.rows) * tab.width for tab in self.tabs) > self.cells:
            raise Invalid("This action would increase the number of cells in the workbook above the limit")

    def _addSheet(self, body: dict[str, Any]) -> None:
        title, grid = body["properties"]["title"], body["properties"].get("gridProperties", {})
        if any(one.title == title for one in self.tabs):
            raise Invalid(f"A sheet with the name {title!r} already exists")
        self.tabs.append(Tab(700 + len(self.tabs), title, grid.get("columnCount", 26), self.kept()))

    def _appendDimension(self, body: dict[str, Any]) -> None:
        assert body["dimension"] == "COLUMNS"
        self._by_id(body["sheetId"]).width += body["length"]

    def _updateCells(self, body: dict[str, Any]) -> None:
        tab, start = self._by_id(body["start"]["sheetId"]), body["start"]
        (given,) = body["rows"]
        while len(tab.rows) <= start["rowIndex"]:
            tab.rows.append([])
        row, at = tab.rows[start["rowIndex"]], start["columnIndex"]
        row += [None] * (at + len(given["values"]) - len(row))
        row[at : at + len(given["values"])] = map(value_of, given["values"])
        if len(row) > tab.width:
            raise Invalid("Attempting to write column: beyond the last column of the sheet")

    def _appendCells(self, body: dict[str, Any]) -> None:
        tab = self._by_id(body["sheetId"])
        assert body["fields"] == "userEnteredValue"
        tab.rows += [[value_of(cell) for cell in row["values"]] for row in body["rows"]]

    def _createDeveloperMetadata(self, body: dict[str, Any]) -> None:
        given = dict(body["developerMetadata"])
        id = given.pop("metadataId")
        if any(id in tab.metadata for tab in self.tabs):
            raise Invalid(f"A developer metadata with id {id} already exists")
        if not 0 < id < 2**31:
            raise Invalid("metadataId must be a positive int32")
        self._by_id(given.pop("location")["sheetId"]).metadata[id] = given

    def _deleteDeveloperMetadata(self, body: dict[str, Any]) -> None:
        for tab in self.tabs:
            tab.metadata.pop(body["dataFilter"]["developerMetadataLookup"]["metadataId"], None)

    def _by_id(self, id: int) -> Tab:
        for one in self.tabs:
            if one.id == id:
                return one
        raise Invalid(f"No grid with id: {id}")

    def application(self) -> web.Application:
        @web.middleware
        async def guarded(request: web.Request, handler: Any) -> web.StreamResponse:
            self.calls.append(f"{request.method} {request.path.rpartition('/')[2]}")
            if self.denied is not None:
                return refuse(self.denied, "PERMISSION_DENIED", "The caller does not have permission")
            if request.match_info.get("id") != ID:
                return refuse(404, "NOT_FOUND", "Requested entity was not found.")
            answer: web.StreamResponse = await handler(request)
            return answer

        app = web.Application(middlewares=[guarded], client_max_size=10_000_000)
        app.router.add_get("/v4/spreadsheets/{id}", self.get)
        app.router.add_get("/v4/spreadsheets/{id}/values/{range}", self.values)
        app.router.add_post("/v4/spreadsheets/{id}:batchUpdate", self.update)
        return app


class Gone(Exception):
    """The connection breaks here."""


def value_of(cell: dict[str, Any]) -> Any:
    value = next(iter(cell.get("userEnteredValue", {}).values()), None)
    if isinstance(value, str) and len(value) > LONGEST:
        raise Invalid(f"Your input contains more than the maximum of {LONGEST} characters in a single cell")
    return value


def refuse(status: int, reason: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    error = {"code": status, "message": message, "status": reason}
    return web.json_response({"error": error}, status=status, headers=headers)


@asynccontextmanager
async def sheets() -> AsyncIterator[Sheets]:
    """Listening on this machine at `url`, until the end."""
    fake = Sheets()
    runner = web.AppRunner(fake.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


async def main() -> None:
    """Serve until killed, for processes of their own: prints the address."""
    async with sheets() as fake:
        print(fake.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
