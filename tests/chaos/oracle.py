"""What must hold, as pure questions to what was seen. Each compares with the source: ids sent, the provider's bill.

A question answers with its violations, an empty list when there are none. `Seen` is gathered by tests/chaos/reading.py.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from domain.pricing.cost import cost
from domain.routing.catalogue import Catalogue
from domain.routing.model import Tokens

FINAL: Final = frozenset({"completed", "failed", "rejected"})
ANSWERED: Final = frozenset({"ok", "invalid_output", "refused", "length"})
UNKNOWN: Final = frozenset({"started", "unknown"})
LEADS_TO_ANOTHER: Final = frozenset({"invalid_output", "error", "timeout", "rate_limited"})
"""Outcomes after which a further call is no repetition: a re-ask, or a retry of what is known to have failed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A row of the ledger."""

    number: int
    outcome: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Bill:
    """What the provider counted for one request: calls that arrived, calls it charged, their tokens."""

    calls: int = 0
    charged: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class Seen:
    """Everything that one run left behind, by id. `sent` are all ids, `accepted` those that somebody acknowledged."""

    sent: Collection[str]
    accepted: Collection[str]
    never_twice: Collection[str] = ()
    results: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    statuses: Mapping[str, Collection[str]] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, bytes] = field(default_factory=dict)
    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    bills: Mapping[str, Bill] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    row_status: Mapping[str, str] = field(default_factory=dict)
    calls: Mapping[tuple[str, int], Any] = field(default_factory=dict)
    call_rows: int = 0
    usage: Mapping[str, Decimal] = field(default_factory=dict)
    in_flight: int = 0

    def bill(self, id: str) -> Bill:
        return self.bills.get(id, Bill())

    def of(self, id: str) -> Sequence[Attempt]:
        return self.attempts.get(id, ())


def lost(seen: Seen) -> list[str]:
    """Every accepted id has a result."""
    return _said("lost", (id for id in seen.accepted if id not in seen.results))


def one_result_each(seen: Seen) -> list[str]:
    """However often a result was produced, it is the same bytes; nobody gets one who did not ask."""
    differing = (id for id, values in seen.results.items() if len(set(values)) > 1)
    states = (id for id, found in seen.statuses.items() if len(found) != 1 or not set(found) <= FINAL)
    return [
        *_said("answered with different bytes", differing),
        *_said("not in exactly one of completed, failed, rejected", states),
        *_said("answered and never sent", (id for id in seen.results if id not in seen.sent)),
    ]


def ledger_agrees(seen: Seen) -> list[str]:
    """The ledger holds the bytes that were produced, and every request of it is final."""
    open_ = (f"{id} {state}" for id, state in seen.states.items() if state not in FINAL)
    other = (id for id, values in seen.results.items() if seen.stored.get(id) not in (*values, None))
    absent = (id for id in seen.results if id not in seen.stored)
    return [
        *_said("unfinished in the ledger", open_),
        *_said("stored otherwise than produced", other),
        *_said("produced and not in the ledger", absent),
    ]


def every_call_has_a_row(seen: Seen) -> list[str]:
    """L8: a row before the call, so never fewer rows than calls: every surplus call has a row of unknown outcome."""
    fewer = (id for id, bill in seen.bills.items() if len(seen.of(id)) < bill.calls)
    return _said("called without a row", fewer)


def bill_agrees(seen: Seen) -> list[str]:
    """Tokens and money of every attempt whose answer was heard, to the last digit."""
    price = Catalogue.simulated("http://127.0.0.1/v1").resolve("fast")[0].price
    wrong, dear = [], []
    for id, attempts in seen.attempts.items():
        heard = [attempt for attempt in attempts if attempt.outcome in ANSWERED]
        if not _same(heard, seen.bill(id)):
            wrong.append(f"{id} heard {heard}, charged {seen.bill(id)}")
        if any(a.cost_usd != cost(price, Tokens(a.input_tokens, a.output_tokens)) for a in heard):
            dear.append(id)
    return [*_said("billed otherwise than the provider did", wrong), *_said("at another price", dear)]


def _same(heard: Sequence[Attempt], bill: Bill) -> bool:
    """Equal where every charged call was heard; where some were not, never more than was charged."""
    tokens = (sum(a.input_tokens for a in heard), sum(a.output_tokens for a in heard))
    charged = (bill.input_tokens, bill.output_tokens)
    if len(heard) == bill.charged:
        return tokens == charged
    return len(heard) < bill.charged and all(mine <= theirs for mine, theirs in zip(tokens, charged, strict=True))


def repeated(seen: Seen) -> int:
    """Calls that were made although an earlier one of the request had not failed."""
    known = {id: sum(a.outcome in LEADS_TO_ANOTHER for a in seen.of(id)) for id in seen.bills}
    return sum(max(0, bill.calls - 1 - known[id]) for id, bill in seen.bills.items())


def nobody_pays_twice(seen: Seen) -> list[str]:
    """No more calls are repeated than were in flight in what was killed; in `fail` mode none is."""
    times = repeated(seen)
    found = [f"{times} calls repeated, {seen.in_flight} were in flight at the kills"] if times > seen.in_flight else []
    twice = (id for id in seen.never_twice if seen.bill(id).calls > 1)
    return [*found, *_said("called twice in `fail` mode", twice)]


def clickhouse_agrees(seen: Seen) -> list[str]:
    """One row a request and an attempt, none missing, none double, and the views add up to them."""
    return [
        *_said("double in results FINAL", (id for id, count in seen.rows.items() if count != 1)),
        *_said("not in results FINAL", (id for id in seen.results if id not in seen.rows)),
        *_said("in results FINAL and never produced", (id for id in seen.rows if id not in seen.results)),
        *_said("another status in ClickHouse", _other_status(seen)),
        *_calls_agree(seen),
        *_usage_agrees(seen),
    ]


def _other_status(seen: Seen) -> Iterable[str]:
    return (id for id, status in seen.row_status.items() if status not in seen.statuses.get(id, (status,)))


def _calls_agree(seen: Seen) -> list[str]:
    """An attempt that never was heard of may still be `started`: it has no record until its request is over."""
    if seen.call_rows != len(seen.calls):
        return [f"{seen.call_rows} rows of {len(seen.calls)} attempts in calls FINAL"]
    wanted = {(id, a.number): a for id, rows in seen.attempts.items() for a in rows if a.outcome != "started"}
    differs = (
        f"{id}#{n} {found} instead of {a.outcome}, {a.cost_usd}"
        for (id, n), a in wanted.items()
        if (found := seen.calls.get((id, n))) is not None and found != (a.outcome, a.cost_usd)
    )
    heard = (f"{id}#{n}" for (id, n), a in wanted.items() if a.outcome in ANSWERED and (id, n) not in seen.calls)
    return [*_said("another attempt in ClickHouse", differs), *_said("attempts missing in calls FINAL", heard)]


def _usage_agrees(seen: Seen) -> list[str]:
    spent = sum((a.cost_usd for rows in seen.attempts.values() for a in rows if a.outcome in ANSWERED), Decimal(0))
    wanted = {"requests": Decimal(len(seen.results)), "cost_usd": spent}
    found = {view: {name: seen.usage.get(f"{view}.{name}") for name in wanted} for view in ("hourly", "daily")}
    return [f"usage_{view} says {says}, not {wanted}" for view, says in found.items() if says != wanted]


QUESTIONS: Final[tuple[Callable[[Seen], list[str]], ...]] = (
    lost, one_result_each, ledger_agrees, every_call_has_a_row, bill_agrees, nobody_pays_twice, clickhouse_agrees,
)  # fmt: skip
ALWAYS: Final[tuple[Callable[[Seen], list[str]], ...]] = (one_result_each, every_call_has_a_row)
"""What holds at every moment, in the middle of the faults too."""


def judge(seen: Seen, questions: Iterable[Callable[[Seen], list[str]]] = QUESTIONS) -> list[str]:
    return [violation for question in questions for violation in question(seen)]


def _said(what: str, found: Iterable[str]) -> list[str]:
    names = sorted(found)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [f"{len(names)} {what}: {', '.join(names[:3])}{more}"] if names else []
