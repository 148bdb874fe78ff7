"""The tables of the BigQuery sink: made where they are missing, and given the columns they lack."""

from typing import Any

from connectors.google.access import Access, Answered
from domain.errors import Unavailable
from domain.sinks.columns import COLUMNS, HAPPENED, TABLES, Column

TYPES = {
    "text": "STRING", "integer": "INTEGER", "money": "BIGNUMERIC", "time": "TIMESTAMP", "flag": "BOOLEAN",
    "json": "JSON", "tags": "JSON",
}  # fmt: skip
SAME = {"INT64": "INTEGER", "BOOL": "BOOLEAN", "BIGDECIMAL": "BIGNUMERIC"}
"""BigQuery has two names for some types."""
MADE_MEANWHILE = 409
SCOPES = ("https://www.googleapis.com/auth/bigquery",)
REMEDIES = {
    401: "check the credentials",
    403: "grant roles/bigquery.dataEditor on the dataset, and enable the BigQuery API of the project",
    404: "create the dataset (`bq mk --dataset PROJECT:DATASET`), or set another one",
    412: "another process changes the table; it is looked at again",
    429: "it asks for fewer requests",
}


def fields(topic: str) -> list[dict[str, str]]:
    """The columns of a table, as BigQuery wants them."""
    return [_field(column, column.needed) for column in COLUMNS[topic]]


class Tables:
    """One dataset, `project.dataset`."""

    def __init__(self, access: Access, dataset: str) -> None:
        self._access = access
        self._project, self._dataset = dataset.split(".")
        self._path = f"/bigquery/v2/projects/{self._project}/datasets/{self._dataset}/tables"

    async def ensure(self, topic: str) -> str:
        """Which table it is: a table that is dropped and made anew is another one. Raises Unavailable."""
        name = TABLES[topic]
        try:
            found = await self._access.call("GET", f"{self._path}/{name}")
        except Answered as error:
            if error.status != 404:
                raise
            found = await self._make(topic, name)
        have = {one["name"]: one for one in found["schema"]["fields"]}
        self._check(topic, have)
        lacking = [_field(column, False) for column in COLUMNS[topic] if column.name not in have]
        if lacking:
            wanted = {"schema": {"fields": [*found["schema"]["fields"], *lacking]}}
            # another process may add them in the same moment: the one whose etag is old looks again
            await self._access.call("PATCH", f"{self._path}/{name}", wanted, {"If-Match": found.get("etag", "*")})
        return str(found["creationTime"])

    def place(self, topic: str) -> str:
        """As the Storage Write API names it."""
        return f"projects/{self._project}/datasets/{self._dataset}/tables/{TABLES[topic]}"

    async def close(self) -> None:
        await self._access.close()

    async def _make(self, topic: str, name: str) -> Any:
        reference = {"projectId": self._project, "datasetId": self._dataset, "tableId": name}
        body = {
            "tableReference": reference,
            "schema": {"fields": fields(topic)},
            "timePartitioning": {"type": "DAY", "field": HAPPENED[topic]},
            "clustering": {"fields": ["tenant"]},
        }
        try:
            return await self._access.call("POST", self._path, body)
        except Answered as error:
            if error.status != MADE_MEANWHILE:
                raise
            return await self._access.call("GET", f"{self._path}/{name}")

    def _check(self, topic: str, have: dict[str, Any]) -> None:
        """Raises Unavailable where no row would fit."""
        wanted = {column.name: column for column in COLUMNS[topic]}
        wrong = []
        for name, one in have.items():
            column, kind = wanted.get(name), SAME.get(one["type"], one["type"])
            if column is None and one.get("mode") == "REQUIRED":
                wrong.append(f"{name} is required, and no record has it")
            if column is not None and (kind != TYPES[column.kind] or one.get("mode") == "REPEATED"):
                wrong.append(f"{name} is {kind}, not {TYPES[column.kind]}")
            if column is not None and one.get("mode") == "REQUIRED" and not column.needed:
                wrong.append(f"{name} is required, and not every record has it")
        if wrong:
            raise Unavailable(
                f"the schema of BigQuery table {self._dataset}.{TABLES[topic]} has drifted: {'; '.join(wrong)}; put it "
                "right or rename the table, a new one is made (docs/sinks.md)"
            )


def _field(column: Column, needed: bool) -> dict[str, str]:
    mode = "REQUIRED" if needed else "NULLABLE"
    return {"name": column.name, "type": TYPES[column.kind], "mode": mode}
