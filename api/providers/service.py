"""How providers are, as the workers see them: names and figures, never addresses or keys."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from domain.ports import HealthBoard
from domain.routing.catalogue import Catalogue
from domain.routing.health import Report
from domain.routing.model import Deployment
from topics import codec
from topics.base import format_time


class Providers:
    """Answers GET /v1/providers."""

    def __init__(self, board: HealthBoard, catalogue: Catalogue, now: Callable[[], datetime]) -> None:
        self._board = board
        self._catalogue = catalogue
        self._now = now

    async def listing(self) -> bytes:
        """Raises Unavailable: workers tell each other through Redis."""
        deployments = self._catalogue.deployments
        down = await self._board.down([one.name for one in deployments])
        reports = await self._board.look()
        items = [
            _fields(one, [r for r in reports if r.deployment == one.name], down.get(one.name)) for one in deployments
        ]
        return codec.encode({"items": items, "next_cursor": None, "at": format_time(self._now())})


def _fields(one: Deployment, reports: Sequence[Report], down: float | None) -> dict[str, Any]:
    status = "degraded" if down is not None else "healthy" if reports else "unknown"
    measured = [report.p50_ms for report in reports if report.p50_ms is not None]
    return {
        "id": one.name,
        "provider": one.provider,
        "model": one.model,
        "status": status,
        "since": None if down is None else format_time(datetime.fromtimestamp(down, UTC)),
        "answers": sum(report.answers for report in reports),
        "failures": sum(report.failures for report in reports),
        "p50_ms": sorted(measured)[len(measured) // 2] if measured else None,
        "workers": len(reports),
    }
