"""Breaks things and says how long Prometheus took to fire: `python -m tests.monitoring.faults --engines .local`.

Three lines of real processes on the engines of a stack that runs, production's scrape and rules, about twenty minutes.
Every fault stays until the end. What cannot be caused on one machine is not here; docs/monitoring.md names it.
DiskFills wants root (a small file system is mounted) and node_exporter, DoorUnreachable blackbox_exporter, on PATH.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.proxy import Faults as Breaker
from tests.line.processes import Worker, until
from tests.line.test_takeover import free_port
from tests.monitoring.faults import causes
from tests.monitoring.faults.causes import Fault
from tests.monitoring.faults.machine import disk, door, receiver
from tests.monitoring.faults.place import HOST, SECONDS, Line, Place, placed, program

WELL = 90
"""Seconds that everything is well before the first fault."""
INFER, INTAKE, WAKE = (("worker", "--stage", stage) for stage in ("infer", "intake", "wake"))


def people(place: Place, receiver: str) -> list[Fault]:
    """A line with sinks, whose ClickHouse and whose cache can be taken away."""
    line, proxy, control = place.line("people"), {name: free_port() for name in ("clickhouse", "redis")}, free_port()
    real = place.clickhouse(line)
    ports = {"clickhouse": port_of(real), "redis": port_of(line.of.environ["REDIS_URL"])}
    words = [f"{name}={proxy[name]}:{ports[name]}" for name in proxy]
    place.stack.enter_context(
        program(
            [sys.executable, "-m", "tests.chaos.proxy", "--control", str(control), *words], line.of.directory / "proxy"
        )
    )
    around = {name: url.replace(f":{ports[name]}/", f":{proxy[name]}/")
              for name, url in (("clickhouse", real), ("redis", line.of.environ["REDIS_URL"]))}  # fmt: skip
    causes.subscribe(line, "wh_slow", f"{receiver}/status/503")
    line.start("worker-intake-1", *INTAKE)
    line.start("worker-infer-1", *INFER, REDIS_URL=around["redis"])
    line.start("worker-wake-1", *WAKE)
    spare, late = line.start("worker-wake-2", *WAKE), line.start("worker-wake-3", *WAKE)
    rows = line.start("sink-clickhouse-1", "sink", "clickhouse", CLICKHOUSE_URL=around["clickhouse"])
    hooks = line.start("sink-destinations-1", "sink", "destinations", STRUCTURED_PROMPT_WEBHOOK_ALLOW="127.0.0.0/8")
    line.keep_asking(2)
    breaker = Breaker(control)

    def hold_deliveries() -> None:
        until(lambda: hooks.metric("webhooks_disabled_total") > 0, 120, hooks.log.read_text)
        line.hold("SELECT FROM delivery_lanes FOR UPDATE")

    def cut_clickhouse() -> None:
        until(lambda: rows.metric("sink_refused_total") > 0, 120, rows.log.read_text)
        breaker.enter("clickhouse", "refuse")

    return [
        Fault("SinkRefuses", "three usage records that are no JSON", lambda: causes.refused_rows(line)),
        Fault("DeadLettersRise", "thirty requests that are no JSON", lambda: causes.dead_letters(line)),
        Fault("WebhooksDisabled", "an endpoint that answers 410",
              lambda: causes.subscribe(line, "wh_gone", f"{receiver}/status/410")),
        Fault("ProcessDown", "a worker is killed", lambda: causes.kill(spare), (("instance", at(spare)),)),
        Fault("EventLoopLate", "a worker that runs one second in seven",
              lambda: causes.freeze_again_and_again(late), (("instance", at(late)),)),
        Fault("BudgetUsedUp", "a budget of a hundredth of a cent", lambda: causes.use_up_a_budget(line)),
        Fault("DeliveriesOverdue", "a transaction holds the lanes of deliveries", hold_deliveries),
        Fault("SinkErrors", "ClickHouse refuses connections", cut_clickhouse),
        Fault("SinkBehind", "the same", lambda: None),
        Fault("CacheErrors", "the workers' Redis refuses connections", lambda: breaker.enter("redis", "refuse")),
    ]  # fmt: skip


def locked(place: Place) -> list[Fault]:
    """A line whose PostgreSQL answers, but not for the tables that are locked."""
    line = place.line("locked")
    line.start("worker-intake-2", *INTAKE)
    infer = line.start("worker-infer-2", *INFER)
    line.keep_asking(40)

    def lock() -> None:
        line.hold("LOCK TABLE claims, workers IN ACCESS EXCLUSIVE MODE")

    stage, process = (("stage", "intake"),), (("process", "worker-intake"),)
    return [
        Fault("DependencyAway", "a transaction locks the tables of claims and workers", lock, stage),
        Fault("StageStuck", "the same", lambda: None, process),
        Fault("LeasesFail", "the same", lambda: None),
        Fault("ConsumerLagGrows", "the same, with forty requests a second", lambda: None),
        Fault("FileDescriptorsEnd", "a limit just above what is open", lambda: causes.few_descriptors(infer)),
    ]


def provided(place: Place) -> list[Fault]:
    """A line whose provider fails."""
    line = place.line("provided")
    line.start("worker-intake-3", *INTAKE)
    infer = line.start("worker-infer-3", *INFER)
    line.start("worker-wake-4", *WAKE)
    again = line.start("worker-wake-5", *WAKE)

    def hold_waiting() -> None:
        time.sleep(20)
        line.hold("SELECT FROM waiting FOR UPDATE")

    return [
        Fault("WorkersDie", "a worker is killed with sixty calls under way",
              lambda: causes.die_with_calls(line, infer, *INFER)),
        Fault("ProcessRestarts", "a worker is killed and started five times",
              lambda: causes.restart(line, again, *WAKE), (("instance", at(again)),)),
        Fault("ProviderDown", "the provider answers 500", lambda: fail(line)),
        Fault("ProviderErrors", "the same", lambda: None),
        Fault("WaitingOverdue", "a transaction holds requests that wait", hold_waiting),
    ]  # fmt: skip


def fail(line: Line) -> None:
    line.of.provide(failure="error_500")
    line.keep_asking(2)


def at(worker: Worker) -> str:
    return f"{HOST}:{worker.port}"


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


def measured(place: Place, faults: Iterable[Fault]) -> list[tuple[Fault, float | None]]:
    """Seconds from each fault to its alert; printed as they come. Looked at also while the next fault is caused."""
    ended, watched = threading.Event(), Watched(place)
    watcher = threading.Thread(target=watched.keep, args=(ended,), daemon=True)
    watcher.start()
    before = time.monotonic()
    for fault in faults:
        fault.cause()
        # what has the same cause began with it
        before = before if fault.what.startswith("the same") else time.monotonic()
        watched.begun[fault.alert] = (fault, before)
    while len(watched.found) < len(watched.begun) and time.monotonic() - before < SECONDS:
        time.sleep(1)
    ended.set()
    watcher.join()
    return [(fault, watched.found.get(name)) for name, (fault, _) in watched.begun.items()]


@dataclass
class Watched:
    """What fires, by alert; `begun` is each fault with its time."""

    place: Place
    begun: dict[str, tuple[Fault, float]] = field(default_factory=dict)
    found: dict[str, float] = field(default_factory=dict)

    def keep(self, ended: threading.Event) -> None:
        while not ended.wait(1):
            for labels in self.place.firing() or []:
                self._look(labels)

    def _look(self, labels: dict[str, str]) -> None:
        name = labels["alertname"]
        if name not in self.begun or name in self.found:
            return
        fault, since = self.begun[name]
        if set(fault.like) <= set(labels.items()):
            self.found[name] = max(0.0, time.monotonic() - since)
            print(f"| {name} | {fault.what} | {self.found[name]:.0f} s |", flush=True)


def run(engines: Path) -> int:
    with tempfile.TemporaryDirectory() as directory, placed(engines, Path(directory)) as place, receiver() as url:
        faults = [*people(place, url), *locked(place), *provided(place), *disk(place), *door(place)]
        place.watch()
        time.sleep(WELL)
        print(f"firing while all is well: {place.firing()}")
        outcomes = measured(place, faults)
        missing = [fault.alert for fault, seconds in outcomes if seconds is None]
        print(f"not within {SECONDS} s: {', '.join(missing) or 'none'}")
        return int(bool(missing))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", type=Path, default=Path(".local"), help="the directory of a stack that runs")
    raise SystemExit(run(parser.parse_args().engines))
