"""What is sent and what is broken, all of it out of one seed: the same seed and form make the same plan."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

TENANT: Final = "demo"
LANES: Final = ("interactive", "standard", "standard", "bulk")
WORKERS: Final = tuple(f"worker-{stage}-{n}" for stage in ("intake", "infer") for n in (1, 2, 3))
SCHEMA: Final = {
    "type": "object",
    "properties": {"label": {"enum": ["positive", "negative", "neutral"]}, "about": {"type": "string"}},
    "required": ["label", "about"],
}


@dataclass(frozen=True, slots=True)
class Fault:
    """At `at` seconds after the first event: kill `target`, or have its connections fare so for `seconds`."""

    at: float
    kind: str  # kill | blackhole | slow | refuse | cut
    target: str
    seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.0f} s" if self.seconds else ""
        return f"{self.at:6.1f} s  {self.kind} {self.target}{lasting}"


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of the load. `repeated` is sent twice, `door` says through which it comes: kafka, async or sync."""

    n: int
    at: float
    body: Mapping[str, Any]
    door: str = "kafka"
    repeated: bool = False

    @property
    def fails_on_unknown(self) -> bool:
        return self.body.get("on_unknown_outcome") == "fail"


@dataclass(frozen=True, slots=True)
class Plan:
    """`events` requests over `seconds`, while `faults` happen; the provider takes `latency` and `jitter` ms.

    After it everything has to come to rest within `patience` seconds.
    """

    seed: int
    form: str
    events: int
    seconds: float
    latency: tuple[int, int]
    faults: tuple[Fault, ...]
    patience: float = 90.0

    def requests(self, prefix: str) -> Iterator[Sent]:
        """Ids begin with `prefix`, which is also the tag by which everything of this run is found."""
        dice = random.Random(f"{self.seed}/requests")
        for n in range(self.events):
            yield _request(dice, n, self.seconds * n / self.events, prefix)

    def __str__(self) -> str:
        head = f"{self.form} plan of seed {self.seed}: {self.events} events in {self.seconds:.0f} s"
        return "\n".join([head, *(f"  {fault}" for fault in self.faults)])


def _request(dice: random.Random, n: int, at: float, prefix: str) -> Sent:
    """One in ten in `fail` mode, one in twenty each: answered badly at first, of a model that is not, sent twice."""
    body: dict[str, Any] = {
        "id": f"{prefix}-{n:05d}",
        "tenant": TENANT,
        "prompt": f"How does the writer of letter {n} of {prefix} feel? I am very happy with item {n}.",
        "output_schema": SCHEMA,
        "lane": dice.choice(LANES),
        "tags": {"chaos": prefix},
    }
    kind = dice.random()
    if kind < 0.10:
        body["on_unknown_outcome"] = "fail"
    elif kind < 0.15:
        body["prompt"] = f"[[simulate: wrong_type]] {body['prompt']}"
    elif kind < 0.20:
        body["model"] = "nobody/nothing"
    door = dice.choices(("kafka", "async", "sync"), (0.92, 0.05, 0.03))[0]
    return Sent(n, at, body, door, repeated=dice.random() < 0.05)


def short(seed: int) -> Plan:
    """1,500 events in 25 s: a worker dies with its hands full, then every kind of fault at moments of the seed's."""
    dice = random.Random(f"{seed}/short")
    moments = sorted(dice.uniform(5, 24) for _ in range(8))
    what = [
        ("kill", dice.choice(WORKERS[:3]), 0), ("kill", dice.choice(WORKERS[3:]), 0),
        ("kill", dice.choice(["api-1", "worker-wake-1", "sink-clickhouse"]), 0), ("kill", "kafka", 0),
        ("kill", "postgres", 0), ("blackhole", "redis", 6), ("blackhole", "clickhouse", 6),
        (dice.choice(["slow", "cut"]), dice.choice(["provider", "postgres", "kafka"]), 4),
    ]  # fmt: skip
    dice.shuffle(what)
    first = Fault(round(dice.uniform(2.5, 4), 1), "kill", dice.choice(WORKERS[3:]))
    faults = (first, *(Fault(round(at, 1), *one) for at, one in zip(moments, what, strict=True)))
    return Plan(seed, "short", 1_500, 25.0, (700, 500), faults)


def full(seed: int) -> Plan:
    """10,000 events in 2 minutes; a worker dies every 5 s, the broker twice; Redis and ClickHouse vanish for 30 s."""
    dice = random.Random(f"{seed}/full")
    kills = [Fault(5.0 * n, "kill", dice.choice(WORKERS)) for n in range(1, 25)]
    broker = [Fault(round(dice.uniform(*span), 1), "kill", "kafka") for span in ((15, 50), (70, 110))]
    holes = [
        Fault(round(dice.uniform(10, 85), 1), "blackhole", name, 30.0) for name in ("redis", "clickhouse")
    ]  # fmt: skip
    faults = tuple(sorted((*kills, *broker, *holes), key=lambda fault: fault.at))
    return Plan(seed, "full", 10_000, 120.0, (1_500, 1_000), faults)


def control(seed: int) -> Plan:
    """A small plan that a broken wiring cannot pass (tests/chaos/variants.py), and that the product passes."""
    faults = (Fault(3.0, "blackhole", "postgres", 3.0), Fault(5.0, "kill", "worker-intake-1"),
              Fault(5.0, "kill", "worker-intake-2"))  # fmt: skip
    return Plan(seed, "control", 400, 8.0, (2_500, 500), faults, patience=45.0)


FORMS: Final = {"short": short, "full": full, "control": control}
