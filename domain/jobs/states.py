"""How a job's state reads: the ledger's, in the words of the API."""

from domain.ledger.model import State

_WORDS: dict[str | None, str] = {None: "accepted", State.DISPATCHED: "running"}


def job_state(state: str | None, error_code: str | None) -> str:
    """accepted | waiting | running | completed | failed | rejected | cancelled; `state` None: not claimed yet."""
    return "cancelled" if error_code == "cancelled" else _WORDS.get(state, state or "accepted")
