"""How many deliveries each destination may have in flight: a slow one never takes the place of a quick one. Pure.

A destination is *quick* after a success within a second, *poor* after anything else, *new* before its first answer.
Each kind has a share of the places that the others cannot take; a destination's own room grows by one with each success
and is halved by each failure (as TCP's window), and after failures in a row it rests for a moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass

QUICK_S = 1.0
NEW_ROOM = 4
MOST_ROOM, MOST_SLOW_ROOM = 64, 16
FIRST_REST_S, LONGEST_REST_S = 0.05, 5.0
FORGET_S = 300.0
SOON_S = 2.0
"""Within it a destination that has rested is looked at again."""
Lane = tuple[str, str]
"""(tenant, endpoint)."""


@dataclass(slots=True)
class Room:
    """One destination as this process knows it."""

    in_flight: int = 0
    room: int = NEW_ROOM
    kind: str = "new"
    failures: int = 0
    rests_until: float = 0.0
    used_at: float = 0.0


class Rooms:
    """`places` in all, half of them for quick destinations, a quarter each for new and for poor ones."""

    def __init__(self, places: int) -> None:
        self._shares = {"quick": places - 2 * (places // 4), "new": places // 4, "poor": places // 4}
        self._used = dict.fromkeys(self._shares, 0)
        self._rooms: dict[Lane, Room] = {}

    def free(self, kind: str) -> int:
        return self._shares[kind] - self._used[kind]

    @property
    def in_flight(self) -> int:
        return sum(self._used.values())

    def known(self, now: float) -> Iterator[tuple[Lane, int]]:
        """The destinations that are not as new ones, with how many deliveries they may take now.

        Each alone: most have nothing to take. Together they may exceed the share of their kind, by one batch; then none
        of the kind gets any until they are fewer.
        """
        left = {kind: self.free(kind) for kind in self._shares}
        for lane, room in self._rooms.items():
            rests = now < room.rests_until
            yield lane, 0 if rests else max(0, min(room.room - room.in_flight, left[room.kind]))

    def held(self, now: float) -> Iterator[Lane]:
        """The destinations that get all they may have: what waits for one of them waits for its receiver.

        One that finds no place of its kind is not among them: that is for whoever runs this to mend.
        """
        for lane, room in self._rooms.items():
            if room.in_flight >= room.room or now < room.rests_until + SOON_S:
                yield lane

    def enter(self, lane: Lane, now: float) -> str:
        """A delivery begins; the kind it is counted as, to be given back."""
        room = self._rooms.setdefault(lane, Room())
        room.in_flight += 1
        room.used_at = now
        self._used[room.kind] += 1
        return room.kind

    def leave(self, lane: Lane, kind: str, quick: bool, failed: bool, now: float) -> None:
        """It ended. `failed` rests the destination, longer with each failure in a row."""
        room = self._rooms[lane]
        room.in_flight -= 1
        self._used[kind] -= 1
        room.kind = "quick" if quick else "poor"
        most = MOST_ROOM if quick else MOST_SLOW_ROOM
        room.room = max(1, room.room // 2) if failed else min(most, room.room + 1)
        room.failures = room.failures + 1 if failed else 0
        if failed:
            room.rests_until = now + min(LONGEST_REST_S, FIRST_REST_S * 2.0 ** min(room.failures, 20))

    def forget(self, now: float) -> None:
        """Destinations that nothing went to for a while are new again."""
        idle = [lane for lane, room in self._rooms.items() if not room.in_flight and now - room.used_at > FORGET_S]
        for lane in idle:
            del self._rooms[lane]
