"""The breaker in virtual time, and which deployment is chosen: an outage costs few calls and no answers."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from agents.infer.routes import Routes, Slot, may_move
from domain.errors import ModelError
from domain.routing.breaker import Breaker
from domain.routing.choose import ordered, pick
from domain.routing.model import Alias, Deployment, Price
from topics.call import PromptCall


def deployment(name: str, price: str = "1", context: int = 128_000) -> Deployment:
    cost = Price("1", Decimal(price), Decimal(price))
    provider, _, model = name.partition("/")
    return Deployment(name, provider, model, "openai", "", cost, context_tokens=context)


NOW = datetime(2026, 12, 31, tzinfo=UTC)
A, B, C = deployment("a/x", "2"), deployment("b/x", "1"), deployment("c/x", "3", context=1_000_000)
CALL = PromptCall("acme", "r1", "standard", "fast", [{"role": "user", "content": "Why?"}], "", "")


def failing(**how: object) -> ModelError:
    return ModelError("down", **{"outcome": "error", "sent": True, "retryable": True, "status": 500, **how})  # type: ignore[arg-type]


class Outage:
    """Requests in virtual time against an alias of two, of which the first is away from `start` to `end`."""

    def __init__(self, start: float, end: float, hang: float = 0.0) -> None:
        self.now, self.start, self.end, self.hang = 0.0, start, end, hang
        self.routes = Routes(0, lambda: self.now, random.Random(1).random)
        self.alias = Alias((A, B))
        self.calls, self.answered, self.of_first = 0, 0, 0
        self.opened_at: float | None = None
        self._ends: list[tuple[float, Deployment]] = []

    def call(self, to: Deployment) -> bool:
        """Whether it answers; a failure takes as long as `hang`, and is heard of then."""
        self.calls += 1
        self.routes.sent(to)
        if to is A and self.start <= self.now < self.end:
            if self.hang:
                self._ends.append((self.now + self.hang, to))
            else:
                self.routes.failed(to, failing())
            return False
        self.routes.answered(to, 0.2)
        self.of_first += to is A
        return True

    def request(self) -> None:
        first = self.routes.first(self.alias, CALL)
        if self.call(first):
            self.answered += 1
            return
        other = self.routes.other(self.alias, CALL, (first.name,), failing())
        self.answered += other is not None and self.call(other)

    def run(self, seconds: float, per_second: int) -> int:
        """How many requests there were."""
        for tick in range(int(seconds * per_second)):
            self.now = tick / per_second
            while self._ends and self._ends[0][0] <= self.now:
                self.routes.failed(self._ends.pop(0)[1], failing(status=None, outcome="timeout"))
            if tick % per_second == 0:
                self._look()
            self.request()
        return int(seconds * per_second)

    def _look(self) -> None:
        breaker = self.routes._of(A).breaker
        breaker.look(self.now)
        if breaker.opened is not None and self.opened_at is None:
            self.opened_at = breaker.opened
        if breaker.may_probe(self.now):
            breaker.let_one_go(self.now)


@pytest.mark.parametrize("hang", [0.0, 60.0])
@pytest.mark.parametrize("per_second", [5, 50])
def test_ten_minutes_without_the_first_provider_cost_a_tenth_more_calls_at_most(hang: float, per_second: int) -> None:
    outage = Outage(60.0, 660.0, hang)
    requests = outage.run(720, per_second)
    assert outage.opened_at is not None
    assert outage.opened_at - 60.0 <= 5.0 + 1.0  # the look is once a second
    assert outage.calls <= 1.1 * requests
    assert outage.answered >= 0.99 * requests


def test_the_first_is_used_again_after_the_outage() -> None:
    outage = Outage(10.0, 20.0)
    outage.run(60, 10)
    assert outage.routes.first(outage.alias, CALL) is A
    assert outage.of_first > 400


def test_a_few_failures_among_many_answers_open_nothing() -> None:
    breaker, draw = Breaker(), random.Random(2).random
    for tick in range(20_000):
        breaker.sent(tick / 100)
        if draw() < 0.2:
            breaker.failed(tick / 100, ours=False)
        else:
            breaker.answered(tick / 100, 0.1)
    assert breaker.opened is None


def test_an_open_breaker_lets_one_call_go_every_five_seconds() -> None:
    breaker = Breaker()
    breaker.open(100.0)
    gone = []
    for tick in range(200):
        now = 100.0 + tick / 10
        if breaker.may_probe(now):
            breaker.let_one_go(now)
        if breaker.allows():
            gone.append(now)
            breaker.sent(now)
            breaker.failed(now, ours=False)
    assert gone == pytest.approx([105.0, 110.0, 115.0])
    breaker.answered(121.0, 0.1)
    assert breaker.allows()


def test_slow_models_are_not_taken_for_dead() -> None:
    breaker = Breaker(latency=20.0)
    for _ in range(10):
        breaker.sent(0.0)
    breaker.look(19.0)
    assert breaker.opened is None


def slots_held(routes: Routes, deployment: Deployment, wanted: int) -> list[Slot]:
    """The slots that so many deliveries get."""
    return [routes.slot(deployment) for _ in range(wanted) if not routes.full(deployment)]


def test_a_deployment_that_hangs_leaves_half_of_the_slots() -> None:
    routes = Routes(100, lambda: 0.0)
    routes.slot(B)
    assert len(slots_held(routes, A, 500)) == 50
    assert routes.first(Alias((A, B)), CALL) is B


def test_a_deployment_that_answers_gets_twice_what_its_answers_need() -> None:
    now = [0.0]
    routes = Routes(100, lambda: now[0])
    routes.slot(B)
    for tick in range(400):
        now[0] = tick / 40
        routes.sent(A)
        routes.answered(A, 1.0)
    held = slots_held(routes, A, 500)
    assert 70 <= len(held) <= 90
    now[0] += 10.0
    for slot in held[:20]:
        with slot:
            continue
    assert routes.full(A)


def test_a_deployment_that_is_the_only_one_gets_all_slots() -> None:
    assert len(slots_held(Routes(100, lambda: 0.0), A, 500)) == 500


@pytest.mark.parametrize(
    ("strategy", "first"), [("pinned", "a/x"), ("cheapest", "b/x"), ("fastest", "c/x"), ("weighted", "b/x")]
)
def test_a_strategy_says_who_is_asked_first(strategy: str, first: str) -> None:
    alias = Alias((A, B, C), strategy, {"a/x": 1, "b/x": 8, "c/x": 1})  # type: ignore[arg-type]
    order = ordered(alias, 100, 100, {"a/x": 0.5, "b/x": 0.4, "c/x": 0.1}, 0.5, NOW)
    assert order[0].name == first
    assert len(order) == 3


def test_the_cheapest_is_the_cheapest_of_now() -> None:
    falls = replace(A, later_prices=((NOW, Price("2", Decimal("0.5"), Decimal("0.5"))),))
    alias = Alias((falls, B), "cheapest")
    moments = [NOW - timedelta(seconds=1), NOW]
    assert [ordered(alias, 100, 100, {}, 0.5, at)[0].name for at in moments] == ["b/x", "a/x"]
    assert [Routes(now=lambda at=at: at).first(alias, CALL).name for at in moments] == ["b/x", "a/x"]  # type: ignore[misc]
    bulk = replace(CALL, lane="bulk")
    assert [one.name for one in Routes(now=lambda: moments[0]).instead(alias, bulk, B)] == []
    assert [one.name for one in Routes(now=lambda: moments[1]).instead(alias, bulk, B)] == ["a/x"]


def test_weights_are_shares() -> None:
    alias = Alias((A, B), "weighted", {"a/x": 3, "b/x": 1})
    names = [ordered(alias, 1, 1, {}, n / 100, NOW)[0].name for n in range(100)]
    assert names.count("a/x") == 75


def test_what_is_too_small_is_left_out() -> None:
    assert ordered(Alias((A, B, C)), 200_000, 100, {}, 0.0, NOW) == [C]
    assert ordered(Alias((A, B)), 200_000, 100, {}, 0.0, NOW) == [A, B]


def test_where_nobody_is_well_the_first_is_asked() -> None:
    assert pick([A, B], lambda _: False) is A


def test_a_context_that_was_too_long_goes_to_a_larger_one_only() -> None:
    alias = Alias((A, B, C))
    assert Routes().other(alias, CALL, ("a/x",), failing(too_long=True, retryable=False, status=400)) is C
    assert Routes().other(replace(alias, deployments=(A, B)), CALL, ("a/x",), failing(too_long=True)) is None


@pytest.mark.parametrize(
    ("how", "retry", "fail"),
    [
        ({}, True, False),
        ({"status": None, "outcome": "timeout"}, True, False),
        ({"sent": False, "status": None, "outcome": "refused_connection"}, True, True),
        ({"status": 400, "retryable": False}, False, False),
        ({"status": 401, "retryable": False, "elsewhere": True}, True, False),
        # a limit that is soon over is waited for
        ({"status": 429, "outcome": "rate_limited", "retry_after": 1.0}, False, False),
        ({"status": 429, "outcome": "rate_limited", "retry_after": 60.0}, True, True),
        ({"status": 429, "outcome": "rate_limited", "retryable": False, "elsewhere": True}, True, True),
    ],
)
def test_L9_what_may_be_asked_of_another_deployment(how: dict[str, object], retry: bool, fail: bool) -> None:
    assert (may_move(failing(**how), False), may_move(failing(**how), True)) == (retry, fail)
