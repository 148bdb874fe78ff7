"""One attempt: a delivery to a URL, or those of one object into a bucket."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.errors import Permanent
from domain.ports import Outlet
from domain.webhooks import objects, schedule
from domain.webhooks.kinds import Bucket
from domain.webhooks.model import Due, Settlement
from domain.webhooks.rooms import QUICK_S
from domain.webhooks.schedule import Heard
from domain.webhooks.sealing import unseal
from domain.webhooks.signing import headers, keys_of

AGENT = "Structured-Prompt-Webhooks/1.0 (+https://www.standardwebhooks.com)"


@dataclass(frozen=True, slots=True)
class Tried:
    """How each delivery of the attempt ends; `heard` is None where nothing was sent."""

    settled: list[Settlement]
    heard: Heard | None

    @property
    def failed(self) -> bool:
        return self.heard is not None and not self.heard.delivered

    @property
    def quick(self) -> bool:
        return self.heard is None or (self.heard.delivered and self.heard.seconds < QUICK_S)


@dataclass(frozen=True, slots=True)
class Attempts:
    """`pepper` signs and unseals, `chance` is the jitter in [0, 1)."""

    outlet: Outlet
    pepper: bytes
    now: Callable[[], datetime]
    chance: Callable[[], float]

    async def make(self, batch: Sequence[Due]) -> Tried:
        """`batch` is what goes into one object, one delivery otherwise."""
        first, began = batch[0], self.now()
        if first.url is None or (first.target is not None and not first.target.enabled):
            return Tried([schedule.dropped(due, began) for due in batch], None)
        bucket = first.target.bucket if first.target is not None else None
        if bucket is not None:
            heard, request = await self._store(batch, bucket)
        else:
            head = _head(first, self.pepper, began)
            heard, request = await self.outlet.post(first.url, head, first.body), _shown(head)
        chance = self.chance()
        return Tried([schedule.settle(due, heard, began, request, chance) for due in batch], heard)

    async def _store(self, rows: Sequence[Due], bucket: Bucket) -> tuple[Heard, str]:
        target = rows[0].target
        if target is None:
            return Heard(None, 0.0, error="the destination is gone"), ""
        key = objects.key(bucket.prefix, rows)
        try:
            secret = unseal(self.pepper, target.tenant, target.id, target.sealed)
        except Permanent as error:
            return Heard(None, 0.0, error=str(error)), ""
        return await self.outlet.store(bucket, secret, key, objects.body(rows)), f"PUT s3://{bucket.name}/{key}"


def _head(due: Due, pepper: bytes, now: datetime) -> dict[str, str]:
    signed = headers(due.key.id, now, due.body, keys_of(pepper, due, now))
    return {"content-type": "application/json", "user-agent": AGENT, **signed}


def _shown(head: dict[str, str]) -> str:
    """For the log, without the signature."""
    return "\n".join(f"{name}: {text}" for name, text in head.items() if name != "webhook-signature")
