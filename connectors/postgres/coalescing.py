"""Requests that ask the same (rule L14): who asks, who waits behind it, and the end of both in one transaction.

A request that asks what nobody else asks costs one insert, in the statement that takes it. The rest is for the others.
"""

import itertools
from collections.abc import Sequence

from connectors.postgres.pool import Pool, Statements, columns
from connectors.postgres.queries import statements
from connectors.postgres.settling import settle as settle_in
from domain.errors import Unavailable
from domain.ledger.coalescing import answered
from domain.ledger.model import Finished, Grip, Settled, Settlement, State, Take, Taken

_SQL = statements("coalesce")
_CALLS = statements("sweep")["calls"]
_ROUNDS = 5
_CHUNK = 100
_FORGOTTEN = 50_000
AT_ONCE = 2_000
"""Followers that end with their holder; more of them end with their next take, which wake brings about at once."""

Key = tuple[str, str]


async def follow(pool: Pool, asking: Sequence[tuple[Take, int]]) -> list[Taken | None]:
    """What becomes of takes, each with its request's epoch, that met their question; None where it is theirs now."""
    answers: list[Taken | None] = []
    for start in range(0, len(asking), _CHUNK):
        answers += await _follow(pool, asking[start : start + _CHUNK])
    return answers


async def _follow(pool: Pool, asking: Sequence[tuple[Take, int]]) -> list[Taken | None]:
    answers: dict[int, Taken | None] = {}
    for _ in range(_ROUNDS):
        open_ = [place for place in range(len(asking)) if place not in answers]
        if not open_:
            return [answers[place] for place in range(len(asking))]
        open_.sort(key=lambda place: (asking[place][0].tenant, asking[place][0].id))
        given = [(take.tenant, take.id, take.run, epoch, take.question) for take, epoch in (asking[p] for p in open_)]
        told = []
        for n, holder, verdict in await pool.fetch(_SQL["follow"], *columns(given, 5)):
            if verdict == "answered":
                told.append((open_[n], holder))
            elif verdict != "again":
                answers[open_[n]] = None if verdict == "mine" else Taken(Grip(verdict))
        answers.update(await _told(pool, asking, told))
    raise Unavailable("a question changes hands faster than it can be followed; repeat the batch")


async def _told(
    pool: Pool, asking: Sequence[tuple[Take, int]], told: Sequence[tuple[int, str]]
) -> dict[int, Taken | None]:
    """Those that are given the answer of a holder that is over; None where it is not there any more."""
    if not told:
        return {}
    keys = [(asking[place][0].tenant, holder) for place, holder in told]
    found = {row["n"]: row["result"] for row in await pool.fetch(_SQL["answers"], *columns(keys, 2))}
    return {
        place: Taken(Grip.ANSWERED, asking[place][1], result=found[n]) if n in found else None
        for n, (place, _) in enumerate(told)
    }


async def settle(pool: Pool, batch: Sequence[Settlement]) -> list[Settled]:
    """Settle requests that others wait behind, and those others with them. Answers in the order of the batch."""
    ordered = sorted(batch, key=lambda item: (item.tenant, item.id))
    async with pool.transaction() as within:
        keys = [(item.tenant, item.id, item.run, item.epoch) for item in ordered]
        held = [ordered[row["n"]] for row in await within.fetch(_SQL["lock_holders"], *columns(keys, 4))]
        followers = await _followers(within, held)
        ends = {key: _ends(holder, followers[key]) for holder in held if (key := (holder.tenant, holder.id))}
        settled = await settle_in(within, [*batch, *(end for _, end in itertools.chain(*ends.values()))], True)
        await _let_go(within, held, followers, ends)
    return [
        Settled(answer.won, answer.usage, tuple(finished for finished, _ in ends.get((item.tenant, item.id), ())))
        for item, answer in zip(batch, settled, strict=False)
        if answer is not None
    ]


_Follower = tuple[int, int, bytes]
"""The run and the epoch of a request, and its call."""


async def _followers(within: Statements, held: Sequence[Settlement]) -> dict[Key, dict[str, _Follower]]:
    """By holder and id, the one that has waited longest first."""
    found: dict[Key, dict[str, _Follower]] = {(item.tenant, item.id): {} for item in held}
    if not held:
        return found
    rows = await within.fetch(_SQL["followers"], *columns(list(found), 2), AT_ONCE)
    keys = [(row["tenant"], row["id"], row["run"], row["day"]) for row in rows]
    calls = {row["n"]: row["call"] for row in await within.fetch(_CALLS, *columns(keys, 4))}
    for n, row in enumerate(rows):
        holder = held[row["n"]]
        # one that is settled beside its holder, for a reason of its own, is over
        if n in calls and (row["tenant"], row["id"]) not in found:
            found[holder.tenant, holder.id][row["id"]] = (row["run"], row["epoch"], calls[n])
    return found


def _ends(holder: Settlement, followers: dict[str, _Follower]) -> list[tuple[Finished, Settlement]]:
    """How the followers end: with the holder's answer, if it has one."""
    if holder.state is not State.COMPLETED:
        return []
    ends = [answered(call, run, epoch, holder.result) for run, epoch, call in followers.values()]
    return [
        (Finished(end.tenant, end.id, end.run, call, end.result, ()), end)
        for end, (_, _, call) in zip(ends, followers.values(), strict=True)
    ]


async def _let_go(
    within: Statements,
    held: Sequence[Settlement],
    followers: dict[Key, dict[str, _Follower]],
    ends: dict[Key, list[tuple[Finished, Settlement]]],
) -> None:
    """Nobody waits behind a request that is over: its followers are, too, or wait behind one of theirs, or are due."""
    over = [(end.tenant, end.id, end.epoch) for _, end in itertools.chain(*ends.values())]
    if over:
        await within.fetch(_SQL["release"], *columns(over, 3))
    heirs = [
        (holder.tenant, holder.id, next(iter(heirs)))
        for holder in held
        if holder.state is not State.COMPLETED and (heirs := followers[holder.tenant, holder.id])
    ]
    if heirs:
        await within.fetch(_SQL["promote"], *columns(heirs, 3))
    left = [*((item.tenant, item.id) for item in held), *((tenant, id) for tenant, id, _ in over)]
    await within.fetch(_SQL["hurry"], *columns(left, 2))


async def forget(pool: Pool) -> None:
    """Drop questions that are over."""
    await pool.fetch(_SQL["forget"], _FORGOTTEN)
