"""DELETE /v1/jobs/{id}: asks for the end, and waits a moment for it (rule L11).

The request itself is ended by whoever works on it or finds it next, in the ledger's one final transition: so an answer
that comes first wins, and nothing here has to know which of them it will be.
"""

import orjson
from starlette.responses import Response

from api.analyze.outcome import JSON, location
from api.analyze.waiters import FINAL, Waiters
from api.jobs.service import JobReader, fields_of
from api.problems import Problem
from api.within import LEDGER, PATIENCE_S, within
from domain.errors import Permanent
from domain.jobs.model import JobView
from domain.ledger.model import Cancel
from domain.ports import Ledger

WAIT_S = 1.0  # longer than wake and the workers need as a rule


class Canceller:
    """Cancels jobs of one tenant. Raises Problem: not_found, finished, unavailable."""

    def __init__(self, jobs: JobReader, ledger: Ledger, waiters: Waiters) -> None:
        self._jobs = jobs
        self._ledger = ledger
        self._waiters = waiters

    async def cancel(self, tenant: str, id: str) -> Response:
        """200 with the job when it is cancelled, now or before; 202 when its end has been asked for."""
        view = await self._jobs.view(tenant, id)
        if view.state not in FINAL:
            with self._waiters.waiter(tenant, id, joined=True, after_run=view.run - 1) as waiter:
                [met] = await within(self._ledger.cancel([Cancel(tenant, id)]), PATIENCE_S, LEDGER)
                if isinstance(met, Permanent):
                    raise met
                await self._waiters.wait(waiter, WAIT_S)
            view = await self._jobs.view(tenant, id)
        return _answer(view)


def _answer(view: JobView) -> Response:
    if view.state in FINAL and view.state != "cancelled":
        raise Problem("finished", f"job {view.id!r} was {view.state} before it could be cancelled; nothing is changed")
    status = 200 if view.state == "cancelled" else 202
    return Response(orjson.dumps(fields_of(view)), status, {"location": location(view.id)}, JSON)
