"""How a job's state reads: the ledger's, in the words of the API."""

from domain.ledger.model import State


def job_state(state: str | None, error_code: str | None) -> str:
    """accepted | waiting | running | completed | failed | rejected | cancelled; `state` None: not claimed yet."""
    if error_code == "cancelled":
        return "cancelled"
    return "running" if state == State.DISPATCHED else str(state or State.ACCEPTED)
