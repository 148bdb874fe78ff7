"""What the sink of Google Sheets does beside what every sink does, against a fake of its protocol (tests/fakes)."""

import random
from collections.abc import AsyncIterator

import pytest

from connectors.google.access import Access
from connectors.google.sheets import COLUMN_NAMES, PER_MINUTE, SheetsSink
from connectors.google.spreadsheet import REMEDIES, Spreadsheet
from domain.errors import Unavailable
from domain.ports import Item
from tests.contract.messages import result
from tests.contract.sinks import numbered
from tests.contract.warehouses import sheets_sink
from tests.fakes.sheets import ID, Gone, Sheets, Tab, sheets


@pytest.fixture
async def fake() -> AsyncIterator[Sheets]:
    async with sheets() as found:
        yield found


@pytest.fixture
async def sink(fake: Sheets) -> AsyncIterator[SheetsSink]:
    made = sheets_sink(fake.url)
    yield made
    await made.close()


def ids(fake: Sheets) -> list[str]:
    return [row["id"] for row in fake.rows("results")]


def partitions(count: int) -> list[Item]:
    """Results of three partitions in turn, each with offsets of its own."""
    return [result(f"r{n}")._replace(partition=n % 3, offset=n // 3) for n in range(count)]


@pytest.mark.parametrize("seed", range(12))
async def test_a_crash_anywhere_between_write_and_commit_loses_and_doubles_nothing(fake: Sheets, seed: int) -> None:
    rng = random.Random(seed)
    items = partitions(60)
    items[30] = items[30]._replace(value=b"poison")

    def meet(_: str) -> None:
        if rng.random() < 0.25:
            raise Gone

    fake.meet = meet
    sink, at, refused = sheets_sink(fake.url), 0, set()
    while at < len(items):
        batch = items[at : at + rng.randint(1, 12)]
        try:
            answer = await sink.write(batch)
        except Unavailable:
            answer = None
        if rng.random() < 0.3:
            # the process dies, before or after its commit
            await sink.close()
            sink = sheets_sink(fake.url)
        if answer is not None and rng.random() < 0.7:
            refused |= {one.item for one in answer}
            at += len(batch)
    await sink.close()
    assert sorted(ids(fake)) == sorted(f"r{n}" for n in range(60) if n != 30)
    assert [item.value for item in refused] == [b"poison"]


async def test_a_process_that_was_taken_for_dead_adds_nothing(fake: Sheets) -> None:
    older, newer = sheets_sink(fake.url), sheets_sink(fake.url)
    batch = numbered([result(f"r{n}") for n in range(9)])
    await older.open()
    await older.write(batch[:3])
    await newer.open()
    for at in (3, 6):
        await newer.write(batch[at : at + 3])
        with pytest.raises(Unavailable, match="400"):
            await older.write(batch[3:])
        stale, older = older, sheets_sink(fake.url)
        await stale.close()
        await older.open()
    await older.write(batch)
    assert ids(fake) == [f"r{n}" for n in range(9)]
    for one in (older, newer):
        await one.close()


async def test_a_batch_is_one_request_and_marks_do_not_pile_up(fake: Sheets, sink: SheetsSink) -> None:
    await sink.open()
    fake.calls.clear()
    rows = partitions(60)
    for at in range(0, 60, 6):
        assert await sink.write(rows[at : at + 6]) == []
    assert fake.calls == [f"POST {ID}:batchUpdate"] * 10
    assert len(fake.tab("results").metadata) == 3 * 4
    assert fake.rows("results")[7]["record"] == "prompt.results/1@2"


async def test_a_row_has_a_cell_for_each_field_and_no_formula(fake: Sheets, sink: SheetsSink) -> None:
    assert await sink.write(numbered([result(subject='=IMPORTXML("http://x")', output={"a": 1})])) == []
    (row,) = fake.rows("results")
    assert list(row) == COLUMN_NAMES
    assert (row["subject"], row["cost_usd"], row["input_tokens"]) == ('=IMPORTXML("http://x")', 0.0000094, 31)
    assert (row["completed_at"], row["output"], row["tags"], row["error_code"]) == (
        "2026-11-20T12:00:00.000Z", '{"a":1}', '{"team":"support"}', None,
    )  # fmt: skip


async def test_columns_may_be_moved_and_added_by_hand_and_come_back_where_they_are_missing(
    fake: Sheets, sink: SheetsSink
) -> None:
    head = ["note", "id", *(name for name in COLUMN_NAMES if name not in ("id", "subject"))]
    fake.tabs.append(Tab(5, "results", 40, [list(head), ["by hand"]]))
    assert await sink.write(numbered([result(subject="user-7")])) == []
    by_hand, row = fake.rows("results")
    assert (by_hand["note"], row["note"], row["id"], row["subject"]) == ("by hand", None, "r1", "user-7")
    assert fake.tab("results").rows[0] == [*head, "subject"]


@pytest.mark.parametrize(("width", "then"), [(None, 28), (26, 28), (40, 40)])
async def test_no_column_is_added_that_has_no_name(
    fake: Sheets, sink: SheetsSink, width: int | None, then: int
) -> None:
    """Empty cells count for the 10,000,000 of a spreadsheet: twice as wide, full after half."""
    if width is not None:
        fake.tabs.append(Tab(5, "results", width, [list(COLUMN_NAMES[:3])]))
    assert await sink.write(numbered([result()])) == []
    assert len(COLUMN_NAMES) == 28
    assert (fake.tab("results").width, fake.tab("results").rows[0]) == (then, COLUMN_NAMES)


async def test_a_tab_of_somebody_else_is_left_alone(fake: Sheets, sink: SheetsSink) -> None:
    fake.tabs.append(Tab(5, "results", 26, [["Name", "Phone"]]))
    with pytest.raises(Unavailable, match="somebody's own table"):
        await sink.open()
    assert fake.tab("results").rows == [["Name", "Phone"]]


async def test_a_tab_that_was_deleted_is_made_anew_and_filled_by_a_replay(fake: Sheets, sink: SheetsSink) -> None:
    batch = numbered([result(f"r{n}") for n in range(4)])
    await sink.write(batch)
    fake.tabs.clear()
    with pytest.raises(Unavailable):
        await sink.write([result("r4")._replace(offset=4)])
    assert await sink.write(batch) == []
    assert ids(fake) == [f"r{n}" for n in range(4)]


async def test_a_text_that_no_cell_takes_is_refused_alone(fake: Sheets, sink: SheetsSink) -> None:
    batch = numbered([result("a"), result("b", output={"text": "x" * 50_001}), result("c")])
    (refused,) = await sink.write(batch)
    assert (refused.item, "output" in refused.reason) == (batch[1], True)
    assert ids(fake) == ["a", "c"]


@pytest.mark.parametrize(("said", "wait"), [("7", 7.0), (None, 30.0)])
async def test_a_used_up_quota_is_a_wait_of_so_long(
    fake: Sheets, sink: SheetsSink, said: str | None, wait: float
) -> None:
    await sink.open()
    fake.quota, fake.retry_after = 0, said
    with pytest.raises(Unavailable, match="quota") as raised:
        await sink.write(numbered([result("a")]))
    assert raised.value.retry_after == wait
    fake.quota = 1
    assert await sink.write(numbered([result("a")])) == []
    assert ids(fake) == ["a"]


async def test_writes_are_spread_over_the_minute(fake: Sheets) -> None:
    now, slept = 1000.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    sink = SheetsSink(Spreadsheet(Access(fake.url, None, (), "sheets", REMEDIES), ID, "results"), lambda: now, sleep)
    rows = numbered([result(f"r{n}") for n in range(61)])
    for row in rows:
        await sink.write([row])
    assert sum(slept) == pytest.approx(60 * 60 / PER_MINUTE)
    assert sum(slept) > 60
    await sink.close()


@pytest.mark.parametrize(("status", "remedy"), [(401, "check the credentials"), (403, "share the spreadsheet")])
async def test_a_refusal_of_everything_is_a_wait_with_its_remedy(
    fake: Sheets, sink: SheetsSink, status: int, remedy: str
) -> None:
    fake.denied = status
    with pytest.raises(Unavailable, match=remedy):
        await sink.open()
    with pytest.raises(Unavailable, match=remedy):
        await sink.write(numbered([result()]))
    fake.denied = None
    assert await sink.write(numbered([result()])) == []


async def test_a_spreadsheet_that_is_not_there_is_a_wait_that_says_what_to_check(fake: Sheets) -> None:
    sink = sheets_sink(fake.url, id="other")
    with pytest.raises(Unavailable, match="the spreadsheet's id"):
        await sink.open()
    await sink.close()


async def test_a_full_spreadsheet_is_a_wait_and_no_dead_letter(fake: Sheets, sink: SheetsSink) -> None:
    fake.cells = 100
    with pytest.raises(Unavailable, match="begin another one"):
        await sink.write(numbered([result(f"r{n}") for n in range(5)]))
    fake.cells = 10_000
    assert await sink.write(numbered([result(f"r{n}") for n in range(5)])) == []
