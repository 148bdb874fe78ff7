"""Negative controls: the workers with one safeguard taken out. An oracle that passes any of them proves nothing.

`python -m tests.chaos.variants NAME worker --stage …` is the production command on that broken wiring:
    plain        agents as Faust's guide writes them: an event is acknowledged when the agent moves on to the next
    forgetful    no dedupe: whatever was known of an id is forgotten when it comes again
    leaseless    no leases: whatever is in hand for a second passes for what a dead worker left
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from faust.transport.drivers import aiokafka as driver

from agents import app as faust_app
from agents import building, source, stage
from agents import main as worker
from connectors.catalog import Outside
from connectors.metered import MeteredLedger
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import Pool
from domain.errors import Permanent
from domain.ledger.model import Claim, Claimed, Woken
from domain.ports import Ledger


class PlainBatch(source.BatchSource):
    """Hands each event to its handler, and goes on to the next."""

    async def consume(self, stream: Any) -> None:
        async for event in stream.events():
            self._start(self._handler.handle_batch([source.delivery_of(event.message, event.message.generation_id)]))


class PlainEach(source.EachSource):
    """The same for handlers of single events."""

    async def consume(self, stream: Any) -> None:
        async for event in stream.events():
            self._start(self._handler.handle(source.delivery_of(event.message, event.message.generation_id)))


class Forgetful(PostgresLedger):
    """Every claim is the first of its id."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._everything = pool

    async def claim(self, batch: Sequence[Claim]) -> list[Claimed | Permanent]:
        for table in ("claims", "bodies", "results", "attempts", "waiting", "lookouts"):
            await self._everything.fetch(
                f"DELETE FROM {table} t USING unnest($1::text[], $2::text[]) g (tenant, id) "
                "WHERE t.tenant = g.tenant AND t.id = g.id",
                [claim.tenant for claim in batch], [claim.id for claim in batch],
            )  # fmt: skip
        return await super().claim(batch)


class Leaseless(PostgresLedger):
    """Without leases nobody can tell what a live worker has in hand from what a dead one had: it is all stray."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._everything = pool

    async def stray(self, limit: int) -> list[Woken]:
        await self._everything.fetch("UPDATE workers SET expires_at = now()")
        await self._everything.fetch(
            "INSERT INTO lookouts (tenant, id, look_at) "
            "SELECT tenant, id, now() FROM claims WHERE state = 'dispatched' "
            "ON CONFLICT (tenant, id) DO UPDATE SET look_at = now()"
        )
        return await super().stray(limit)


def plain() -> None:
    building.BatchSource = PlainBatch  # type: ignore[misc]
    building.EachSource = PlainEach  # type: ignore[misc]
    faust_app.StageApp._new_transport = lambda app: driver.Transport(app.conf.broker_consumer, app)  # type: ignore[method-assign,assignment,return-value]
    stage.Stage.halt = lambda *_: None  # type: ignore[method-assign,assignment]


def forgetful() -> None:
    _instead(lambda outside: Forgetful(outside.pool))


def leaseless() -> None:
    _instead(lambda outside: Leaseless(outside.pool))


def _instead(ledger_of: Callable[[Outside], Ledger]) -> None:
    """Workers get another ledger than the catalog's."""
    connect_all = worker.connect_all

    async def connect(settings: Any, metrics: Any, name: str) -> Outside:
        outside = await connect_all(settings, metrics, name)
        outside.ledger = MeteredLedger(ledger_of(outside), metrics, name)
        return outside

    worker.connect_all = connect  # type: ignore[assignment]


VARIANTS: Final = {"plain": plain, "forgetful": forgetful, "leaseless": leaseless}


def main() -> None:
    from cli.main import run

    VARIANTS[sys.argv.pop(1)]()
    run()


if __name__ == "__main__":
    main()
