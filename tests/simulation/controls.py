"""The product with one of its safeguards taken out. Each must be noticed, or the simulation proves nothing."""

from dataclasses import replace

from agents.line import Delivery, Lines
from connectors.memory.ledger import MemoryLedger
from connectors.memory.store import Request
from domain.budgets.model import Over
from domain.ledger.model import Claim, Claimed, Settled, Settlement, Standing, Take, Taken
from domain.ledger.rules import Dispatchable
from tests.simulation.workers import Variant


class Forgetful(MemoryLedger):
    """Dedupe off: every delivery is a new request."""

    def _claim(self, claim: Claim) -> Claimed:
        row = Request.claimed(claim, self._now())
        self._store.requests[claim.tenant, claim.id] = row
        return Claimed(Standing.NEW, row.run, row.state)


class Unfenced(MemoryLedger):
    """Fencing off: whoever settles wins, whatever epoch it works under."""

    def _settle(self, item: Settlement) -> Settled:
        row = self._store.requests.get((item.tenant, item.id))
        self._complete(row, item.run, item.done)
        if row is None or row.run != item.run:
            return Settled(False)
        row.state, row.worker, row.results[row.run] = item.state, None, item.result
        row.settled_by, row.error_code = item.settled_by, item.error_code
        row.settled_at = row.updated_at = self._now()
        return Settled(True, row.usage)


class Leaseless(MemoryLedger):
    """Leases off: every other worker counts as dead."""

    def _live(self, worker: str) -> bool:
        return worker == self._me

    def _take(self, take: Take, me: str) -> Taken:
        row = self._store.requests.get((take.tenant, take.id))
        if row is not None and row.worker not in (None, me):
            row.worker = None
        return super()._take(take, me)


class Undated(MemoryLedger):
    """Epochs of calls unread: a take that was given up and is done later holds a request that nobody works on."""

    def _take(self, take: Take, me: str) -> Taken:
        return super()._take(replace(take, epoch=None), me)


class Deaf(MemoryLedger):
    """Wishes to cancel unheard by who takes: wake alone ends what is cancelled."""

    def _dispatchable(self, row: Request, me: str, repeated: bool) -> Dispatchable:
        return replace(super()._dispatchable(row, me, repeated), cancel_requested=False)


class Inattentive(MemoryLedger):
    """Questions unread: identical requests are all asked."""

    def _take(self, take: Take, me: str) -> Taken:
        return super()._take(replace(take, question=None), me)


class Spendthrift(MemoryLedger):
    """Nothing is held: calls are paid for after they were made."""

    def _reserve(self, row: Request, take: Take, repeated: bool) -> Over | None:
        return None


class Unordered(Lines):
    """Acknowledges what is finished, whatever comes before it."""

    def finish(self, delivery: Delivery) -> bool:
        delivery.finished = True
        line = self._lines.get(delivery.tp)
        if line is not None and line.generation == delivery.generation:
            line.head = max(line.head or 0, delivery.offset + 1)
        return False


CONTROLS = {
    "dedupe off": Variant(ledger=Forgetful),
    "fencing off": Variant(ledger=Unfenced),
    "leases off": Variant(ledger=Leaseless),
    "epochs of calls unread": Variant(ledger=Undated),
    "cancels unheard at the take": Variant(ledger=Deaf),
    "questions unread": Variant(ledger=Inattentive),
    "money not held": Variant(ledger=Spendthrift),
    "acknowledged out of order": Variant(lines=Unordered),
}
