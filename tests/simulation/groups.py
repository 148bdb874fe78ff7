"""Consumer groups: who is served which partition, what is delivered, and what may be committed."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from agents.line import Delivery
from agents.stage import Stage
from connectors.memory.broker import MemoryBroker
from tests.simulation.clock import ProcessLoop
from tests.simulation.world import World


@dataclass(slots=True)
class Fetched:
    """A record as the broker hands it out. `timestamp` in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Any
    timestamp: float


@dataclass(slots=True)
class Event:
    """What a fetch brought, as a stream hands it out."""

    records: list[Fetched]
    generation_id: int

    @property
    def message(self) -> "Event":
        return self


class Stream:
    """A member's stream: what was fetched for it and is not taken yet."""

    def __init__(self, loop: ProcessLoop) -> None:
        self._loop = loop
        self._fetched: deque[Event] = deque()
        self._grown: Any = None

    def noack(self) -> "Stream":
        return self

    async def events(self) -> AsyncIterator[Event]:
        while True:
            while self._fetched:
                yield self._fetched.popleft()
            self._grown = self._loop.create_future()
            await self._grown

    def put(self, event: Event) -> None:
        self._fetched.append(event)
        if self._grown is not None and not self._grown.done():
            self._grown.set_result(None)

    def clear(self) -> None:
        """A rebalance drops what was fetched."""
        self._fetched.clear()


class Member:
    """A worker process in its group."""

    def __init__(self, world: World, loop: ProcessLoop, stage: Stage) -> None:
        self._world = world
        self.loop, self.stage = loop, stage
        self.stream = Stream(loop)
        self.finished: set[tuple[int, int, int]] = set()  # generation, partition, offset

    @property
    def answers(self) -> bool:
        return not self.loop.dead and not self.loop.frozen

    def done(self, delivery: Delivery) -> None:
        self._world.finished.append(self)
        self.finished.add((delivery.generation, delivery.partition, delivery.offset))


class Group:
    """One consumer group on one topic."""

    def __init__(self, world: World, broker: MemoryBroker, topic: str) -> None:
        self.topic = topic
        self._world, self._broker = world, broker
        self.members: list[Member] = []
        count = broker.partitions
        self._owner: list[Member | None] = [None] * count
        self._given = [0] * count  # the assignment's number
        self._position = [0] * count
        self._committed = [0] * count
        self._assignments = 0
        self._fetching = False

    def join(self, member: Member) -> None:
        self.members.append(member)
        self.rebalance()

    def leave(self, member: Member) -> None:
        """Its session is over; it may not know yet."""
        if member in self.members:
            self.members.remove(member)
            self.rebalance()

    def replace(self, old: Member, new: Member) -> None:
        """A static member came back under its name before its session was over: nobody else notices."""
        self.members[self.members.index(old)] = new
        for partition, owner in enumerate(self._owner):
            if owner is old:
                self._assign(partition, new)
        self.poke()

    def rebalance(self) -> None:
        """Everybody gives up everything, then it is dealt anew."""
        self._world.note(None, f"rebalance {self.topic}")
        for member in self.members:
            if member.answers and self._world.rng.random() < 0.5:
                self.commit(member)
        for member in self.members:
            self.revoke(member)
        takers = [member for member in self.members if member.answers]
        shift = int(self._world.rng.random() * 8)
        for partition in range(len(self._owner)):
            self._assign(partition, takers[(partition + shift) % len(takers)] if takers else None)
        self.poke()

    def revoke(self, member: Member) -> None:
        """Tell it what it lost. One that does not answer is told when it does again."""
        if member.answers:
            member.stream.clear()
            member.stage.revoked([(self.topic, partition) for partition in range(len(self._owner))])

    def poke(self) -> None:
        """There may be something to fetch."""
        if not self._fetching:
            self._fetching = True
            self._world.pending.append(self)

    def act(self, world: World) -> None:
        """Fetch a few records of one partition."""
        self._fetching = False
        behind = [p for p in range(len(self._owner)) if self._is_behind(p)]
        if not behind:
            return
        partition = behind[int(world.rng.random() * len(behind))]
        self._fetch(partition, 1 + int(world.rng.random() * 3))
        self.poke()

    def commit(self, member: Member) -> None:
        """Commit the heads of a member's partitions. Raises Violation where one passes an unfinished delivery."""
        for partition, head in self._heads(member):
            self._committed[partition] = head

    def check(self) -> None:
        """Raises Violation where a head passes what is not finished."""
        for member in self.members:
            for _ in self._heads(member):
                pass

    def _heads(self, member: Member) -> Iterator[tuple[int, int]]:
        """(partition, next offset to commit) of what it may commit now."""
        for partition, owner in enumerate(self._owner):
            head = member.stage.head((self.topic, partition)) if owner is member else None
            if head is None or head <= self._committed[partition]:
                continue
            for offset in range(self._committed[partition], head):
                if (self._given[partition], partition, offset) not in member.finished:
                    raise self._world.violated(
                        f"{self.topic}/{partition} may be committed to {head}, {offset} is not finished"
                    )
            yield partition, head

    @property
    def done(self) -> bool:
        """Everything on the topic is finished and committed."""
        for member in self.members:
            if member.answers:
                self.commit(member)
        return all(self._committed[p] >= self._broker.end(self.topic, p) for p in range(len(self._owner)))

    def _assign(self, partition: int, member: Member | None) -> None:
        self._assignments += 1
        self._owner[partition], self._given[partition] = member, self._assignments
        self._position[partition] = self._committed[partition]

    def _is_behind(self, partition: int) -> bool:
        owner = self._owner[partition]
        return (
            owner is not None and owner.answers and self._position[partition] < self._broker.end(self.topic, partition)
        )

    def _fetch(self, partition: int, count: int) -> None:
        owner, start = self._owner[partition], self._position[partition]
        items = self._broker.read(self.topic, partition, start)[:count]
        if owner is None or not items:
            return
        self._world.note(owner.loop, f"fetch {self.topic}/{partition} {start}+{len(items)}")
        self._position[partition] = start + len(items)
        records = [
            Fetched(self.topic, partition, one.offset, one.key, one.value, one.headers, one.timestamp.timestamp() * 1e3)
            for one in items
        ]
        owner.stream.put(Event(records, self._given[partition]))
