"""Fleet-wide limits."""

from collections.abc import Sequence
from typing import Protocol

from domain.admission.model import Admission, Charge, Departure, Flight, Gate, Look


class Limiter(Protocol):
    """Fleet-wide GCRA (ITU-T I.371) on the store's clock, and the places of calls in flight.

    A store that was wiped grants no second burst, and asks the ledger who is in flight before it gives a place (D2).
    """

    async def admit(self, batch: Sequence[Charge]) -> list[Admission]:
        """When each may pass. A wait is already reserved, unless `reject` was set; who passes is in flight.

        Who meets a gate without a place has spent what its limits ask: it passes with its flight alone as soon as
        there is one. A flight that is in flight already passes its gates again without taking a second place.
        """
        ...

    async def peek(self, charge: Charge) -> Look:
        """What a new event would meet; spends nothing."""
        ...

    async def leave(self, batch: Sequence[Departure]) -> None:
        """Safe to repeat: who is not in flight any more gives back nothing."""
        ...

    async def free(self, gates: Sequence[Gate]) -> list[int | None]:
        """Places free now, None where there is no end of them."""
        ...

    async def stale(self, older_s: float, limit: int) -> list[Flight]:
        """Some that went long ago and may have ended without a word; nobody else is told of these for as long."""
        ...


class Flights(Protocol):
    """What the ledger knows of calls in flight: handed on, or in the hands of a worker."""

    async def in_flight(self, limit: int) -> list[Flight]:
        """All of them, up to `limit`."""
        ...

    async def ended(self, flights: Sequence[Flight]) -> list[Flight]:
        """Those that are over or wait."""
        ...
