"""What must hold, compared with what was published and with the provider's own bill."""

from decimal import Decimal
from typing import Any

import orjson

from connectors.memory.spending import fold
from connectors.memory.store import AttemptState, MemoryStore, Request
from domain.ledger.results import call_id
from domain.ports import Record
from tests.simulation.invariants import UNSURE
from tests.simulation.provider import Provider
from tests.simulation.world import World
from topics import table

Run = tuple[str, str, int]


class Oracle:
    """Looks at every record as it becomes durable, and at everything once nothing is left to do."""

    def __init__(self, world: World, store: MemoryStore, provider: Provider) -> None:
        self._world, self._store, self._provider = world, store, provider
        self._published: set[tuple[str, str]] = set()
        self._results: dict[Run, bytes] = {}

    def published(self, tenant: str, id: str) -> None:
        self._published.add((tenant, id))

    def produced(self, record: Record) -> None:
        """Raises Violation where a run gets a second, different result."""
        if record.topic == table.DEAD_LETTERS:
            self._buried(orjson.loads(record.value or b""))
        if record.topic != table.RESULTS:
            return
        row = orjson.loads(record.value or b"")
        run = (row["tenant"], row["id"], row["run"])
        if row["run"] == 0:
            return  # the answer to another body under this id: it is nobody's result
        if row["cached"] == "coalesced":
            self._coalesced(row)
        first = self._results.setdefault(run, record.value or b"")
        if first != record.value:
            raise self._world.violated(f"two results of {run}: {first!r} and {record.value!r}")
        request = self._store.requests.get(run[:2])
        if request is None or request.results.get(run[2]) != record.value:
            raise self._world.violated(f"a result of {run} is produced that the ledger does not hold")

    def _coalesced(self, row: dict[str, Any]) -> None:
        """Free, and the answer to another request that asks the same and was called for (rule L14)."""
        request = self._store.requests[row["tenant"], row["id"]]
        said = (row["usage"]["attempts"], Decimal(row["usage"]["cost_usd"]), len(request.attempts.get(row["run"], ())))
        if said != (0, 0, 0):
            raise self._world.violated(f"a coalesced answer has (attempts, cost, attempts in the ledger) {said}")
        mine = orjson.loads(request.calls[row["run"]])["cache_key"]
        for other in self._store.requests.values():
            asked = {run for run, call in other.calls.items() if orjson.loads(call).get("cache_key") == mine}
            if other is not request and any(other.attempts.get(run) and run in other.results for run in asked):
                return
        raise self._world.violated(f"the coalesced answer of {row['id']} is nobody's")

    def _buried(self, letter: dict[str, str]) -> None:
        if letter["code"] == "internal":
            raise self._world.violated(f"a fault of the service: {letter['reason']}")

    @property
    def complete(self) -> bool:
        """Every id that was published is final and its result is known to be produced."""
        for key in self._published:
            row = self._store.requests.get(key)
            if row is None or not row.state.final or row.emitted_at is None:
                return False
        return True

    def verify(self) -> None:
        """Raises Violation where an id has no end, or the bill is not the ledger's."""
        for key in self._published:
            row = self._store.requests[key]
            if (*key, row.run) not in self._results:
                raise self._world.violated(f"{key} is {row.state} and emitted, and its result is on no topic")
            for run in range(1, row.run + 1):
                self._bill(row, run)
        if self._store.budgets:
            self._money()

    def _money(self) -> None:
        """What the provider asks for is covered, and what is held after all is over is of calls nobody knows of."""
        fold(self._store, 1_000, self._world.clock.utc())
        billed = sum((call.cost_usd for calls in self._provider.calls.values() for call in calls), Decimal(0))
        accounts = list(self._store.accounts.values())
        covered = sum((account.spent_usd + account.held_usd for account in accounts), Decimal(0))
        if billed > covered:
            raise self._world.violated(f"the provider bills {billed}, the budget knows of {accounts} (L12)")
        for key in self._store.holds:
            row = self._store.requests[key[:2]]
            outcome = row.attempts[key[2]][key[3] - 1].outcome
            if outcome not in UNSURE | {"timeout"}:
                raise self._world.violated(f"{key} ended as {outcome}, and its money is still held (L12)")

    def _bill(self, row: Request, run: int) -> None:
        calls = {call.name: call for call in self._provider.calls.get(call_id(row.tenant, row.id, run), ())}
        attempts = row.attempts.get(run, [])
        where = f"{row.id} run {run}: {_shown(attempts)} against {list(calls.values())}"
        if len(attempts) < len(calls):
            raise self._world.violated(f"fewer attempts than calls, {where}")
        for attempt in attempts:
            call = calls.pop(_name(attempt), None)
            if (attempt.cost_usd or Decimal(0)) != (call.cost_usd if call else Decimal(0)):
                raise self._world.violated(f"an attempt costs {attempt.cost_usd}, {where}")
        unsure = [attempt for attempt in attempts if attempt.outcome in UNSURE]
        if len(calls) > len(unsure):
            raise self._world.violated(f"calls of which no attempt tells, {where}")
        for call in calls.values():
            if call.heard and not call.by.dead:
                raise self._world.violated(
                    f"{call.name} was answered to a worker that lives, and its attempt does not say, {where}"
                )


def _name(attempt: AttemptState) -> str:
    return "" if attempt.record is None else orjson.loads(attempt.record)["provider_request_id"] or ""


def _shown(attempts: list[AttemptState]) -> list[str]:
    return [f"{attempt.outcome} {attempt.cost_usd} of {_name(attempt)}" for attempt in attempts]
