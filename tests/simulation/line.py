"""A whole line under a plan: runs it step by step until nothing is left to do, and checks what must hold."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from random import seed as seed_everything
from typing import Any

import orjson
import stamina.instrumentation
import structlog

import agents.infer.caller
import agents.stage
import agents.wake.loop
from connectors.memory.broker import MemoryBroker
from connectors.memory.budgets import MemoryBudgets
from connectors.memory.cache import MemoryCache
from connectors.memory.lanes import MemoryFlights
from connectors.memory.ledger import MemoryLedger
from connectors.memory.limiter import MemoryLimiter
from connectors.memory.pacer import MemoryPacer
from connectors.memory.store import MemoryStore, StoredJob
from domain.budgets.model import Budget
from domain.jobs.model import Job
from domain.ledger.model import Cancel
from domain.ports import Record
from tests.simulation.clock import START, ProcessLoop, simulated
from tests.simulation.groups import Group
from tests.simulation.invariants import Invariants
from tests.simulation.oracle import Oracle
from tests.simulation.plan import Ask, Fault, Plan
from tests.simulation.provider import Provider
from tests.simulation.workers import TENANT, Shared, Variant, Worker
from tests.simulation.world import World, at_once
from topics.base import format_time
from topics.table import CALLS, REQUESTS

SESSION = 10.0  # seconds without a heartbeat after which a member is out of its group
PATIENCE = 7_500.0  # simulated seconds in which everything must have come to an end
LABEL = {"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}, "required": ["label"]}
ORDINARY = Variant()
READERS = (agents.stage, agents.wake.loop, agents.infer.caller)


class Simulation:
    """One schedule. `run` raises Violation; `world` tells how it went."""

    def __init__(self, plan: Plan, variant: Variant = ORDINARY) -> None:
        self.plan = plan
        self.world = world = World(plan)
        self.store, self.broker = MemoryStore(), MemoryBroker(partitions=2, now=world.clock.utc)
        self.provider = Provider(world, self.store)
        self.oracle = Oracle(world, self.store, self.provider)
        if plan.limit_usd is not None:
            at_once(MemoryBudgets(self.store, world.clock.utc).put(Budget(TENANT, "all", plan.limit_usd, "hour")))
        cache, flights = MemoryCache(1 << 20, world.clock.monotonic), MemoryFlights(self.store)
        limiter = MemoryLimiter(world.clock.monotonic, flights)
        pacer = MemoryPacer(world.clock.monotonic)
        facts = (world, self.store, self.broker, self.provider, cache, limiter, flights, pacer)
        self._shared = Shared(*facts, self._append, variant)
        self._groups = {"intake": Group(world, self.broker, REQUESTS)}
        self._groups["infer"] = Group(world, self.broker, CALLS["standard"])
        self._by_topic = {group.topic: group for group in self._groups.values()}
        self._asks = list(plan.asks)
        self._asked: list[Ask] = []
        self._incarnations = 0
        world.strike = self._strike
        world.look = Invariants(world, self.store).check
        roles = ["intake"] * plan.intakes + ["infer"] * plan.infers + ["wake"]
        self.workers = [self._started(role, f"{role}-{n}") for n, role in enumerate(roles)]

    def run(self) -> None:
        """Until everything that was published has ended, as it must."""
        seed_everything(self.plan.seed)
        world = self.world
        with simulated(world.clock, READERS):
            while True:
                world.run_ready()
                if world.broken is not None:
                    raise world.broken
                if world.finished:
                    world.finished.clear()
                    for group in self._by_topic.values():
                        group.check()
                if self._asks:
                    self._publish_due()
                if not world.pending and self._over():
                    break
                world.steps += 1
                world.happen()
                if world.clock.now > PATIENCE:
                    raise world.violated(f"not at an end after {PATIENCE} s: {self.store.requests}")
        self.oracle.verify()

    def _over(self) -> bool:
        if self._asks or not self.oracle.complete:
            return False
        if any(worker.loop.frozen or not worker.idle for worker in self.workers if not worker.loop.dead):
            return False
        for worker in self.workers:
            trouble = None if worker.loop.dead else worker.trouble()
            if trouble is not None:
                raise self.world.violated(f"{worker.incarnation}: {trouble}")
        return all(group.done for group in self._groups.values())

    # what is published

    def _publish_due(self) -> None:
        while self._asks and (self._asks[0].at <= self.world.steps or not self.world.pending):
            self._publish(self._asks.pop(0))

    def _publish(self, ask: Ask) -> None:
        number = len(self._asked)
        self._asked.append(ask)
        body, fail = self._body(ask, number)
        if ask.what == "cancel" and number:
            self._cancel(body["id"])
            return
        self.oracle.published(TENANT, body["id"])
        self.provider.expect(TENANT, body["id"], fail)
        self.world.note(None, f"publish {ask.what} {body['id']}")
        self._append(Record(REQUESTS, orjson.dumps(body), b"%d" % number))

    def _cancel(self, id: str) -> None:
        """Over HTTP, as if the request had come that way."""
        now = self.world.clock.utc
        self.world.note(None, f"cancel {id}")
        job = Job(TENANT, id, b"", b"", now())
        self.store.jobs.setdefault((TENANT, id), StoredJob(job, now(), produced=True))
        at_once(MemoryLedger(self.store, now).cancel([Cancel(TENANT, id)]))

    def _body(self, ask: Ask, number: int) -> tuple[dict[str, Any], bool]:
        of = ask.of % number if number else 0
        earlier = self._asked[of]
        if ask.what in {"again", "other", "rerun", "cancel"} and number:
            same, fail = self._body(earlier, of)
            if ask.what == "rerun":
                return {**same, "rerun": True}, fail
            return ({**same, "prompt": "something else"} if ask.what == "other" else same), fail
        prompt = of if ask.what == "twin" else number
        body: dict[str, Any] = {
            "id": f"r{number}",
            "tenant": TENANT,
            "prompt": f"Is {prompt} good?",
            "output_schema": LABEL,
        }
        if self.plan.limit_usd is not None and self.plan.rejects:
            body["on_limit"] = "reject"
        if ask.what == "fail":
            body["on_unknown_outcome"] = "fail"
        elif ask.what == "deadline":
            body["deadline"] = format_time(START + timedelta(seconds=1 + ask.seconds))
        elif ask.what == "refused":
            body["model"] = "nobody/knows"
        return body, ask.what == "fail"

    def _append(self, record: Record) -> None:
        self.broker.append(record)
        self.oracle.produced(record)
        group = self._by_topic.get(record.topic)
        if group is not None:
            group.poke()

    # what strikes

    def _strike(self, fault: Fault, loop: ProcessLoop) -> None:
        worker = next((one for one in self.workers if one.loop is loop), None)
        if worker is None or loop.dead or loop.frozen:
            return
        self.world.note(loop, fault.kind)
        if fault.kind == "wait":
            self.world.timers.advance()
        elif fault.kind == "away":
            self.world.cut_off(loop, fault.seconds)
        elif fault.kind == "outage":
            self.world.cut_off(None, fault.seconds)
        elif fault.kind.startswith("kill"):
            self._kill(worker, fault.seconds)
        elif fault.kind.startswith("pause"):
            self._pause(worker, fault.seconds)
        elif worker.role in self._groups:
            self._groups[worker.role].rebalance()

    def _kill(self, worker: Worker, seconds: float) -> None:
        group, member = self._groups.get(worker.role), worker.member
        if group is not None and member is not None and self.world.rng.random() < 0.5:
            group.commit(member)
        worker.loop.die()
        if group is not None and member is not None:
            self.world.timers.after(SESSION, group.leave, member)
        if self.world.rng.random() < 0.5:
            # what it had sent is lost with it; otherwise it takes effect all the same
            self.world.lose(worker.loop)
        self.world.timers.after(seconds, self._restart, worker)

    def _restart(self, old: Worker) -> None:
        self.workers[self.workers.index(old)] = self._started(old.role, old.name)

    def _started(self, role: str, name: str) -> Worker:
        self._incarnations += 1
        worker = Worker(self._shared, role, name, self._incarnations)
        worker.loop.start(worker.boot(self._joined))
        return worker

    def _joined(self, worker: Worker) -> None:
        if worker.member is not None:
            self._groups[worker.role].join(worker.member)

    def _pause(self, worker: Worker, seconds: float) -> None:
        worker.loop.frozen = True
        group, member = self._groups.get(worker.role), worker.member
        if group is not None and member is not None and seconds > SESSION:
            self.world.timers.after(SESSION, group.leave, member)
        self.world.timers.after(seconds, self._resume, worker)

    def _resume(self, worker: Worker) -> None:
        self.world.note(worker.loop, "resume")
        worker.loop.thaw()
        if worker.member is not None and not worker.loop.dead:
            self.world.pending.append(Rejoin(self._groups[worker.role], worker))


class Rejoin:
    """A member that was away hears of it: what it had is not its own any more."""

    def __init__(self, group: Group, worker: Worker) -> None:
        self._group, self._worker = group, worker

    def act(self, world: World) -> None:
        member = self._worker.member
        if member is None or self._worker.loop.dead:
            return
        if member in self._group.members:
            self._group.rebalance()
        else:
            self._group.revoke(member)
            self._group.join(member)


def _drop(_logger: Any, _name: str, _event: Any) -> Any:
    raise structlog.DropEvent


@contextmanager
def silence() -> Iterator[None]:
    """No log lines: a schedule is told by its trace. A killed process leaves tasks that never began."""
    hooks, config = stamina.instrumentation.get_on_retry_hooks(), structlog.get_config()
    stamina.instrumentation.set_on_retry_hooks(())
    structlog.configure(processors=[_drop], wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            yield
    finally:
        stamina.instrumentation.set_on_retry_hooks(hooks)
        structlog.configure(**config)
