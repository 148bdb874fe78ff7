"""The scenarios: who asks what, and how many clients there are at which time. `tests/load/k6` has the same ones."""

from collections.abc import Mapping
from dataclasses import dataclass

Mix = Mapping[str, int]
"""Weights of what a client does; the names are those of tests/load/users.py."""

EVERYTHING: Mix = {"ask": 6, "submit": 6, "stream": 2, "repeat": 2, "batch": 1, "poison": 4, "look": 3}


@dataclass(frozen=True, slots=True)
class Scenario:
    """`stages` are (share of the time, share of the clients), in their order; each client starts one task a second."""

    about: str
    mix: Mix
    clients: int
    seconds: int
    stages: tuple[tuple[float, float], ...] = ((1.0, 1.0),)

    def clients_at(self, share: float, clients: int) -> int | None:
        """How many of `clients` there are after this share of the time; None at its end."""
        for stage, part in self.stages:
            if share < stage:
                return max(1, round(clients * part))
            share -= stage
        return None


SCENARIOS: Mapping[str, Scenario] = {
    "steady": Scenario("as many synchronous requests every second", {"ask": 1}, 50, 120),
    "burst": Scenario(
        "quiet, then ten times as many at once, four times over",
        {"ask": 1, "submit": 3},
        200,
        120,
        ((0.2, 0.1), (0.05, 1.0)) * 4,
    ),
    "soak": Scenario("everything, for long", EVERYTHING, 20, 1_800),
    "mixed": Scenario("everything: synchronous, async, streams, repeats, batches, poison", EVERYTHING, 50, 300),
}
