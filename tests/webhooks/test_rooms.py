"""How much of a process each destination may take."""

from domain.webhooks.rooms import MOST_ROOM, MOST_SLOW_ROOM, NEW_ROOM, SOON_S, Rooms

SLOW, QUICK = ("acme", "slow"), ("acme", "quick")


def used(rooms: Rooms, lane: tuple[str, str], *, quick: bool, failed: bool, now: float, times: int = 1) -> None:
    for _ in range(times):
        rooms.leave(lane, rooms.enter(lane, now), quick, failed, now)


def test_a_room_grows_with_answers_less_with_slow_ones_and_is_halved_by_failures() -> None:
    rooms = Rooms(256)
    used(rooms, QUICK, quick=True, failed=False, now=0, times=200)
    assert dict(rooms.known(0))[QUICK] == MOST_ROOM
    used(rooms, SLOW, quick=False, failed=False, now=0, times=200)
    assert dict(rooms.known(0))[SLOW] == MOST_SLOW_ROOM
    used(rooms, QUICK, quick=False, failed=True, now=0, times=3)
    assert dict(rooms.known(100))[QUICK] == MOST_ROOM // 8


def test_hanging_destinations_leave_the_places_of_quick_ones_alone() -> None:
    rooms = Rooms(64)
    used(rooms, QUICK, quick=True, failed=False, now=0, times=100)
    for number in range(1_000):
        lane = ("acme", f"dead-{number}")
        used(rooms, lane, quick=False, failed=True, now=0)
    later = 100.0
    sick = [lane for lane, free in rooms.known(later) if lane != QUICK and free]
    for lane in sick[:200]:  # as many as one batch
        rooms.enter(lane, later)
    assert {free for lane, free in rooms.known(later) if lane != QUICK} == {0}
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


def test_who_rests_or_has_its_room_in_use_is_held_and_who_finds_no_place_is_not() -> None:
    rooms = Rooms(64)
    used(rooms, QUICK, quick=True, failed=False, now=0, times=100)
    used(rooms, SLOW, quick=False, failed=True, now=0, times=8)
    assert set(rooms.held(5)) == {SLOW}
    assert set(rooms.held(5 + SOON_S)) == set()
    rooms.enter(SLOW, 10)
    assert set(rooms.held(10)) == {SLOW}
    crowd = [("acme", f"crowd-{number}") for number in range(16)]
    for lane in crowd:
        used(rooms, lane, quick=False, failed=False, now=10, times=3)
        rooms.enter(lane, 10)
    assert rooms.free("poor") < 0
    assert not set(rooms.held(10)) & set(crowd)  # they have room of their own, and no place


def test_destinations_with_nothing_to_send_take_no_place_from_those_that_have() -> None:
    rooms = Rooms(64)
    for number in range(100):
        used(rooms, ("acme", f"idle-{number}"), quick=True, failed=False, now=0, times=100)
    used(rooms, QUICK, quick=True, failed=False, now=0, times=100)
    assert dict(rooms.known(0))[QUICK] == 32


def test_a_kind_that_has_all_its_places_in_use_gets_none_until_they_are_fewer() -> None:
    rooms = Rooms(64)
    for lane in (QUICK, ("acme", "other")):
        used(rooms, lane, quick=True, failed=False, now=0, times=100)
    kinds = [rooms.enter(QUICK, 0) for _ in range(32)]
    assert {free for _, free in rooms.known(0)} == {0}
    rooms.leave(QUICK, kinds[0], True, False, 0)
    assert {free for _, free in rooms.known(0)} == {1}


def test_an_idle_destination_is_forgotten() -> None:
    rooms = Rooms(8)
    used(rooms, SLOW, quick=False, failed=True, now=0)
    rooms.forget(301)
    assert dict(rooms.known(301)) == {}
    assert NEW_ROOM == 4
