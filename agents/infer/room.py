"""Memory that is lent, in the order it was asked for."""

import asyncio
from collections import deque


class Room:
    """So many bytes. Who asks for more than there is gets all of it, and the others wait."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.left = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def lend(self, amount: int) -> "Loan":
        """When there is room for it; a large one is not overtaken by small ones."""
        amount = min(amount, self.size)
        if not self._waiting and amount <= self.left:
            self.left -= amount
            return Loan(self, amount)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove((amount, turn))
            self.give(0 if turn.cancelled() else amount)
            raise
        return Loan(self, amount)

    def give(self, amount: int) -> None:
        """Back; whoever waits first and fits is served."""
        self.left += amount
        while self._waiting and self._waiting[0][0] <= self.left:
            wanted, turn = self._waiting.popleft()
            self.left -= wanted
            turn.set_result(None)


class Loan:
    """What somebody holds of the room, until `end`."""

    def __init__(self, room: Room, amount: int) -> None:
        self._room = room
        self.amount = amount

    def keep(self, amount: int) -> None:
        """Give back what is above `amount`."""
        surplus = max(0, self.amount - amount)
        self.amount -= surplus
        self._room.give(surplus)

    def end(self) -> None:
        self.keep(0)
