"""The oracle finds what it is there to find: one planted violation at a time in a run that is otherwise right."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.chaos import oracle
from tests.chaos.oracle import Attempt, Bill, Seen
from tests.chaos.plan import full, short

COST = Decimal("0.000021")  # 100 tokens in at 0.15 and 10 out at 0.60 a million
OK = Attempt(1, "ok", 100, 10, COST)


def _right() -> Seen:
    """Three requests: answered at once, answered again after a kill, rejected without a call."""
    results = {"a": [b"1"], "b": [b"2", b"2"], "c": [b"3"]}
    return Seen(
        sent={"a", "b", "c"},
        accepted={"a", "b", "c"},
        never_twice=["a"],
        results=results,
        statuses={"a": {"completed"}, "b": {"completed"}, "c": {"rejected"}},
        states={"a": "completed", "b": "completed", "c": "rejected"},
        stored={id: values[0] for id, values in results.items()},
        attempts={"a": [OK], "b": [Attempt(1, "unknown"), replace(OK, number=2)]},
        bills={"a": Bill(1, 1, 100, 10), "b": Bill(2, 1, 100, 10)},
        rows={"a": 1, "b": 1, "c": 1},
        row_status={"a": "completed", "b": "completed", "c": "rejected"},
        calls={("a", 1): ("ok", COST), ("b", 1): ("unknown", Decimal(0)), ("b", 2): ("ok", COST)},
        call_rows=3,
        usage={f"{view}.{name}": value for view in ("hourly", "daily")
               for name, value in (("requests", Decimal(3)), ("cost_usd", 2 * COST))},
        in_flight=1,
    )  # fmt: skip


def test_a_run_in_which_everything_held_has_no_violation() -> None:
    assert oracle.judge(_right()) == []
    assert oracle.repeated(_right()) == 1


def _set(**fields: Any) -> Callable[[Seen], None]:
    def plant(seen: Seen) -> None:
        for name, value in fields.items():
            setattr(seen, name, value)

    return plant


def _put(name: str, key: Any, value: Any) -> Callable[[Seen], None]:
    return lambda seen: getattr(seen, name).__setitem__(key, value)


PLANTED: dict[str, tuple[Callable[[Seen], None], str]] = {
    "an accepted id without a result": (lambda seen: seen.results.pop("a"), "1 lost: a"),
    "other bytes the second time": (_put("results", "b", [b"2", b"9"]), "1 answered with different bytes: b"),
    "two statuses": (_put("statuses", "b", {"completed", "failed"}), "not in exactly one of"),
    "a result nobody asked for": (_put("results", "x", [b"?"]), "1 answered and never sent: x"),
    "an open row": (_put("states", "a", "dispatched"), "1 unfinished in the ledger: a dispatched"),
    "other bytes in the ledger": (_put("stored", "a", b"9"), "1 stored otherwise than produced: a"),
    "a result the ledger does not know": (lambda seen: seen.stored.pop("a"), "1 produced and not in the ledger: a"),
    "a call without a row": (_put("bills", "a", Bill(2, 1, 100, 10)), "1 called without a row: a"),
    "an answer that was billed twice": (
        _put("attempts", "b", [OK, replace(OK, number=2)]), "billed otherwise than the provider did",
    ),
    "a token too few": (_put("attempts", "a", [replace(OK, output_tokens=9)]), "1 billed otherwise than the provider"),
    "a nano too much": (_put("attempts", "a", [replace(OK, cost_usd=COST + Decimal("1e-9"))]), "1 at another price: a"),
    "more repeated than was in flight": (_set(in_flight=0), "1 calls repeated, 0 were in flight"),
    "called twice in fail mode": (_set(never_twice=["b"]), "1 called twice in `fail` mode: b"),
    "a double row": (_put("rows", "a", 2), "1 double in results FINAL: a"),
    "a missing row": (lambda seen: seen.rows.pop("a"), "1 not in results FINAL: a"),
    "a row of nothing": (_put("rows", "x", 1), "1 in results FINAL and never produced: x"),
    "another status in a row": (_put("row_status", "a", "failed"), "1 another status in ClickHouse: a"),
    "a double attempt": (_set(call_rows=4), "4 rows of 3 attempts in calls FINAL"),
    "another cost in a row": (_put("calls", ("a", 1), ("ok", COST * 2)), "1 another attempt in ClickHouse: a#1"),
    "a missing attempt": (
        _set(calls={("a", 1): ("ok", COST), ("b", 1): ("unknown", Decimal(0))}, call_rows=2), "attempts missing",
    ),
    "a view that counts twice": (_put("usage", "hourly.requests", Decimal(4)), "usage_hourly says"),
    "a view that costs more": (_put("usage", "daily.cost_usd", 3 * COST), "usage_daily says"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(name: str) -> None:
    plant, said = PLANTED[name]
    seen = _right()
    plant(seen)
    assert any(said in violation for violation in oracle.judge(seen)), oracle.judge(seen)


@pytest.mark.parametrize("form", [short, full])
def test_a_seed_makes_the_same_plan_and_the_same_requests_again(form: Callable[[int], Any]) -> None:
    assert form(7) == form(7)
    assert str(form(7)) != str(form(8))
    assert list(form(7).requests("p")) == list(form(7).requests("p"))


def test_the_full_plan_breaks_what_it_has_to() -> None:
    plan = full(1)
    kills = [fault.target for fault in plan.faults if fault.kind == "kill"]
    assert (plan.events, len(kills), kills.count("kafka")) == (10_000, 26, 2)
    holes = {fault.target: fault.seconds for fault in plan.faults if fault.kind == "blackhole"}
    assert holes == {"redis": 30.0, "clickhouse": 30.0}
