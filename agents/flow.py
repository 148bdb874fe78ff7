"""THE MAP: every stage with what it reads, how it is handled, what it writes, and its policy. On one screen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agents.contract import Policy
from topics.table import CALLS, DEAD_LETTERS, EVENTS, REQUESTS, RESULTS, USAGE


@dataclass(frozen=True, slots=True)
class Row:
    """A stage. `reads` gives for each topic the share of the slots it may fill, in the order of preference."""

    reads: Mapping[str, float]
    form: Literal["batch", "each", "ledger"]
    writes: tuple[str, ...]
    policy: Policy


FLOW: dict[str, Row] = {
    "intake": Row(
        reads={REQUESTS: 1.0},
        form="batch",
        writes=(*CALLS.values(), RESULTS, EVENTS, DEAD_LETTERS),
        policy=Policy("intake", batch=500, task_limit=60.0),
    ),
    "infer": Row(
        # bulk can never take the last quarter of the slots, standard never the last tenth
        reads={CALLS["interactive"]: 1.0, CALLS["standard"]: 0.9, CALLS["bulk"]: 0.75},
        form="each",
        writes=(RESULTS, USAGE, EVENTS, DEAD_LETTERS),
        policy=Policy("infer"),
    ),
    "wake": Row(
        reads={},
        form="ledger",
        writes=(*CALLS.values(), RESULTS, USAGE, EVENTS),
        policy=Policy("wake", task_limit=60.0),
    ),
}
"""deliver stands apart (agents/deliver): its sinks come from the settings, each with a consumer group of its own."""

STAGES: tuple[str, ...] = tuple(FLOW)
