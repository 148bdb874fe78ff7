"""How much of a process each destination may take."""

from domain.webhooks.rooms import MOST_ROOM, NEW_ROOM, Rooms

SLOW, QUICK = ("acme", "slow"), ("acme", "quick")


def used(rooms: Rooms, lane: tuple[str, str], *, quick: bool, failed: bool, now: float, times: int = 1) -> None:
    for _ in range(times):
        rooms.leave(lane, rooms.enter(lane, now), quick, failed, now)


def test_a_room_grows_with_quick_answers_and_is_halved_by_slow_ones() -> None:
    rooms = Rooms(256)
    used(rooms, QUICK, quick=True, failed=False, now=0, times=200)
    assert dict(rooms.known(0))[QUICK] == MOST_ROOM
    used(rooms, QUICK, quick=False, failed=False, now=0, times=3)
    assert dict(rooms.known(0))[QUICK] == MOST_ROOM // 8


def test_hanging_destinations_leave_the_places_of_quick_ones_alone() -> None:
    rooms = Rooms(64)
    used(rooms, QUICK, quick=True, failed=False, now=0, times=100)
    for number in range(1_000):
        lane = ("acme", f"dead-{number}")
        used(rooms, lane, quick=False, failed=True, now=0)
    later = 100.0
    for lane, free in dict(rooms.known(later)).items():
        if lane != QUICK:
            for _ in range(free):
                rooms.enter(lane, later)
    assert rooms.free("poor") == 0
    assert dict(rooms.known(later))[QUICK] == 32


def test_after_failures_in_a_row_a_destination_rests_ever_longer_up_to_five_seconds() -> None:
    rooms = Rooms(64)
    rests = []
    for n in range(12):
        used(rooms, SLOW, quick=False, failed=True, now=100.0 * n)
        step = next(s for s in range(1, 1_000) if dict(rooms.known(100.0 * n + s / 20))[SLOW])
        rests.append(step / 20)
    assert rests[:4] == [0.1, 0.2, 0.4, 0.8]
    assert rests[-1] == 5.0
    used(rooms, SLOW, quick=True, failed=False, now=5_000)
    assert dict(rooms.known(5_000))[SLOW] > 0


def test_the_last_places_go_to_who_had_none_for_longest() -> None:
    rooms = Rooms(8)
    for name in "abcd":
        used(rooms, ("acme", name), quick=True, failed=False, now=0)
    used(rooms, ("acme", "a"), quick=True, failed=False, now=0)
    free = {lane[1]: room for lane, room in rooms.known(0)}
    assert list(free) == ["b", "c", "d", "a"]
    assert (free["b"], free["a"]) == (4, 0)


def test_an_idle_destination_is_forgotten() -> None:
    rooms = Rooms(8)
    used(rooms, SLOW, quick=False, failed=True, now=0)
    rooms.forget(301)
    assert dict(rooms.known(301)) == {}
    assert NEW_ROOM == 4
