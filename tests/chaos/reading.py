"""Gathers what the oracle judges: from the load, the topic, the ledger, the provider and ClickHouse."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from domain.ledger.results import call_id
from tests.chaos.load import Load
from tests.chaos.offsets import Offsets
from tests.chaos.oracle import Attempt, Bill, Seen
from tests.chaos.plan import TENANT, Sent
from tests.chaos.running import Running
from tests.chaos.witness import Witness

PARTITIONS: Final = 12
CLAIMS: Final = "SELECT id, state FROM claims WHERE tenant = $1 AND starts_with(id, $2)"
STORED: Final = "SELECT id, result FROM results WHERE tenant = $1 AND starts_with(id, $2)"
ATTEMPTS: Final = (
    "SELECT id, attempt, outcome, cost_usd, input_tokens, output_tokens FROM attempts "
    "WHERE tenant = $1 AND starts_with(id, $2) ORDER BY id, attempt"
)
UNFINISHED: Final = (
    "SELECT state, coalesce(reason, '') AS reason, count(*) AS n FROM claims LEFT JOIN waiting USING (tenant, id) "
    "WHERE tenant = $1 AND starts_with(id, $2) "
    "AND (state NOT IN ('completed', 'failed', 'rejected') OR emitted_at IS NULL) GROUP BY 1, 2"
)
TAGGED: Final = "tags['chaos'] = '{prefix}'"


@dataclass
class Run:
    """One run as it goes: what is asked, and what was counted at the kills."""

    stack: Running
    prefix: str
    requests: Sequence[Sent]
    load: Load
    witness: Witness
    in_flight: int = 0

    @cached_property
    def ids(self) -> dict[str, Sent]:
        return {str(one.body["id"]): one for one in self.requests}

    @cached_property
    def names(self) -> dict[str, str]:
        """Our ids by those that the provider was told."""
        return {call_id(TENANT, id, 1): id for id in self.ids}


def now(run: Run) -> Seen:
    """What can be judged in the middle of it. The bill is read before the rows: a row comes before its call."""
    ids = run.ids
    produced = run.witness.produced.copy()  # in one step, while the reader goes on
    seen = Seen(
        sent=set(ids),
        accepted=run.load.accepted.copy(),
        never_twice=[id for id, one in ids.items() if one.fails_on_unknown],
        results={id: found.values.copy() for id, found in produced.items()},
        statuses={id: found.statuses for id, found in produced.items()},
        bills=_bills(run),
        in_flight=run.in_flight,
    )
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for row in run.stack.ledger(ATTEMPTS, TENANT, f"{run.prefix}-"):
        attempts[row["id"]].append(_attempt(row))
    seen.attempts = attempts
    return seen


def afterwards(run: Run) -> Seen:
    """Everything, once nothing moves any more."""
    seen = now(run)
    key = (TENANT, f"{run.prefix}-")
    seen.states = {row["id"]: row["state"] for row in run.stack.ledger(CLAIMS, *key)}
    seen.stored = {row["id"]: bytes(row["result"]) for row in run.stack.ledger(STORED, *key)}
    tagged = TAGGED.format(prefix=run.prefix)
    rows = run.stack.clickhouse(
        f"SELECT id, toUInt32(count()) AS n, any(status) AS status FROM results FINAL WHERE {tagged} GROUP BY id"
    )
    seen.rows = {row["id"]: row["n"] for row in rows}
    seen.row_status = {row["id"]: row["status"] for row in rows}
    calls = run.stack.clickhouse(
        f"SELECT id, attempt, outcome, toString(cost_usd) AS cost FROM calls FINAL WHERE {tagged}"
    )
    seen.calls = {(row["id"], row["attempt"]): (row["outcome"], Decimal(row["cost"])) for row in calls}
    seen.call_rows = len(calls)
    seen.usage = _usage(run.stack, tagged)
    return seen


def sink_caught_up(run: Run) -> bool:
    """Whether ClickHouse holds a row of every result that was read, and of every attempt that has a record."""
    tagged = TAGGED.format(prefix=run.prefix)
    (found,) = run.stack.clickhouse(f"SELECT toUInt32(uniqExact(id)) AS n FROM results WHERE {tagged}")
    (calls,) = run.stack.clickhouse(f"SELECT toUInt32(uniqExact(id, attempt)) AS n FROM calls WHERE {tagged}")
    wanted = run.stack.ledger(
        "SELECT count(*) AS n FROM attempts WHERE tenant = $1 AND starts_with(id, $2) "
        "AND outcome NOT IN ('started', 'unknown')", TENANT, f"{run.prefix}-"
    )  # fmt: skip
    return bool(found["n"] >= len(run.witness.produced) and calls["n"] >= wanted[0]["n"])


class Quiet:
    """Says when nothing can come any more: every record taken in, every request of the ledger final and produced."""

    def __init__(self, run: Run, still: float = 5.0) -> None:
        self._run = run
        self._still = still
        self.why = ""
        self._offsets = Offsets(run.stack.env["KAFKA_BOOTSTRAP_SERVERS"])

    def reached(self) -> bool:
        """`why` says afterwards what is still going on."""
        arrivals = self._run.witness.arrivals
        last = arrivals[-1] if arrivals else 0.0
        if self._run.witness.now - last < self._still:
            self.why = "results are still coming"
        elif not self._taken_in():
            self.why = "intake has not taken in all records"
        elif left := self._run.stack.ledger(UNFINISHED, TENANT, f"{self._run.prefix}-"):
            self.why = "unfinished: " + ", ".join(f"{row['n']} {row['state']} {row['reason']}" for row in left)
        else:
            self.why = "" if self._run.witness.caught_up() else "not all results are read"
        return not self.why

    def _taken_in(self) -> bool:
        ends = self._offsets.ends("prompt.requests", PARTITIONS)
        heads = self._offsets.committed("structured-prompt.intake", "prompt.requests", PARTITIONS)
        return all(heads[n] >= end for n, end in ends.items())


def wait_quiet(run: Run, seconds: float) -> str:
    """What was still going on at the end of the time, nothing when it became quiet."""
    quiet, deadline = Quiet(run), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if quiet.reached():
            return ""
        time.sleep(0.5)
    return quiet.why


def _attempt(row: Any) -> Attempt:
    return Attempt(
        row["attempt"], row["outcome"], row["input_tokens"] or 0, row["output_tokens"] or 0,
        row["cost_usd"] or Decimal(0),
    )  # fmt: skip


def _bills(run: Run) -> dict[str, Bill]:
    said, names = run.stack.control(), run.names
    bills = {}
    for name, calls in said["calls_by_request"].items():
        if name in names:
            bills[names[name]] = Bill(calls, *said["bill_by_request"].get(name, (0, 0, 0)))
    return bills


def _usage(stack: Running, tagged: str) -> dict[str, Decimal]:
    found = {}
    for view in ("hourly", "daily"):
        (row,) = stack.clickhouse(
            f"SELECT toString(sum(requests)) AS requests, toString(sum(cost_usd)) AS cost_usd "
            f"FROM usage_{view} WHERE {tagged}"
        )
        found |= {f"{view}.{name}": Decimal(text) for name, text in row.items()}
    return found
