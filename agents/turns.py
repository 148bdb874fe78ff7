"""The deliveries of one lane that wait to begin, and whose turn it is."""

from collections import deque
from collections.abc import Callable, Collection

from agents.line import Delivery
from domain.admission.crowd import Crowd
from domain.admission.fairness import FairQueue


class Turns:
    """`ready` wait, of each tenant in turn. `singly` go first: of tenants who come singly beside a flood of others.

    recently: seconds after its last call for which a tenant counts as being here.
    """

    def __init__(self, recently: float) -> None:
        self.ready: FairQueue[Delivery] = FairQueue()
        self.singly: deque[Delivery] = deque()
        self.crowd = Crowd(recently)
        self._singles: set[Delivery] = set()

    def put(self, delivery: Delivery, now: float, in_hand: int, room: int) -> None:
        """room: so many of those who come singly may be on their way, and from so many that wait on it is a flood."""
        tenant = tenant_of(delivery)
        self.crowd.came(tenant, now)
        crowded = len(self._singles) < room < len(self.ready) and tenant not in self.ready.tenants
        if crowded and self.flooded(now, in_hand) and self.crowd.singly(tenant):
            self._singles.add(delivery)
            self.singly.append(delivery)
        else:
            self.ready.put(tenant, delivery)

    def began(self, delivery: Delivery, now: float) -> None:
        self.crowd.saw(tenant_of(delivery), now)

    def ended(self, delivery: Delivery) -> None:
        self._singles.discard(delivery)

    def flooded(self, now: float, in_hand: int) -> bool:
        """Whether one floods the lane beside another who comes singly. in_hand: calls that have begun."""
        return self.crowd.flooded(now, self.ready.tenants, len(self.ready) + in_hand)

    def forget(self, gone: Callable[[Delivery], bool], running: Collection[Delivery]) -> None:
        """Drop what has not begun and is not ours any more."""
        self.ready.drop(gone)
        self.singly = deque(delivery for delivery in self.singly if not gone(delivery))
        self._singles = {delivery for delivery in self._singles if delivery in running or not gone(delivery)}


def tenant_of(delivery: Delivery) -> bytes:
    """Whose call it is: its key is `tenant/id`, and a tenant's name has no slash."""
    return (delivery.key or b"").partition(b"/")[0]
