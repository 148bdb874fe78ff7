"""What infer works with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from agents.infer.caller import Caller
from agents.infer.documents import Reading
from agents.infer.purse import Purse
from agents.infer.settler import Settler
from agents.infer.similar import Similarity
from agents.lease import LeaseKeeper
from domain.ledger.model import Attempt
from domain.ports import Ledger, Producer
from domain.routing.catalogue import Catalogue
from domain.routing.model import Alias, Deployment
from domain.tracing import Tracing
from topics.call import PromptCall


class Where(NamedTuple):
    """What a request's model stands for, which of it is called first, and with what.

    after: seconds that it has to wait before, `why`: document (what it refers to cannot be read now) or pacing.
    earlier: the attempts of the run before this take, where they decide on it. resumes: the run had been given a
    stronger model before it waited, and goes on there.
    """

    route: Alias
    to: Deployment
    call: PromptCall
    after: float = 0.0
    why: str = "document"
    earlier: tuple[Attempt, ...] = ()
    resumes: bool = False


@dataclass(frozen=True, slots=True)
class InferPorts:
    """The ports and the parts that are shared by all of its requests.

    similar: None where nothing is known in other words.
    """

    ledger: Ledger
    producer: Producer
    catalogue: Catalogue
    lease: LeaseKeeper
    caller: Caller
    settler: Settler
    purse: Purse
    tracing: Tracing
    clock: Callable[[], datetime]
    reading: Reading | None = None
    similar: Similarity | None = None
