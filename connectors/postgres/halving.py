"""One bad row never fails its neighbours (rule L16)."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from connectors.postgres.pool import BadData
from domain.errors import Permanent


class Keyed(Protocol):
    """Anything about one request."""

    @property
    def tenant(self) -> str: ...

    @property
    def id(self) -> str: ...


Item = TypeVar("Item")
About = TypeVar("About", bound=Keyed)
Answer = TypeVar("Answer")


async def halving(
    batch: Sequence[Item], run: Callable[[Sequence[Item]], Awaitable[list[Answer]]]
) -> list[Answer | Permanent]:
    """The answers of `run`; where PostgreSQL refuses the data, each half is tried alone, down to the row.

    A row that is refused alone has the reason as its answer.
    """
    if not batch:
        return []
    try:
        return list(await run(batch))
    except BadData as error:
        if len(batch) == 1:
            return [error]
    middle = len(batch) // 2
    return [*await halving(batch[:middle], run), *await halving(batch[middle:], run)]


async def distinct(
    batch: Sequence[About], run: Callable[[Sequence[About]], Awaitable[list[Answer]]]
) -> list[Answer | Permanent]:
    """`halving` over batches that hold each request once: one statement cannot change a row twice.

    The second item about a request is answered after the first, as if it had come in the next batch.
    """
    if len({(item.tenant, item.id) for item in batch}) == len(batch):
        return await halving(batch, run)
    places: dict[tuple[str, str], int] = {}
    for place, item in enumerate(batch):
        places.setdefault((item.tenant, item.id), place)
    first = sorted(places.values())
    rest = sorted(set(range(len(batch))) - set(first))
    early: list[Answer | Permanent] = await halving([batch[place] for place in first], run)
    late: list[Answer | Permanent] = await distinct([batch[place] for place in rest], run)
    answers = dict(zip([*first, *rest], [*early, *late], strict=True))
    return [answers[place] for place in range(len(batch))]
