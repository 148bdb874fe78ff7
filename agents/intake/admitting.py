"""What a request asks of the limits, and what comes of an answer that is not "pass"."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from agents.intake.reading import Incoming
from agents.tenants import Tenants
from domain.admission.model import Admission, Charge, Flight
from domain.admission.tokens import at_most
from domain.ledger.model import Claimed, Park
from domain.ledger.results import Ending, rejected
from domain.routing.catalogue import Catalogue


def charges_of(going_on: Sequence[tuple[Incoming, Claimed]], tenants: Tenants, catalogue: Catalogue) -> list[Charge]:
    """One for each, in order."""
    charges = []
    for item, claimed in going_on:
        call = item.call
        rules = tenants.rules(call.tenant, call.lane, call.api_key_id)
        tokens = at_most(call, catalogue) if rules.count_tokens else 0
        flight = Flight(call.tenant, call.lane, call.id, claimed.run, call.api_key_id)
        charges.append(Charge(rules.limits, item.reject_on_limit, tokens, rules.gates, flight))
    return charges


def refused(item: Incoming, admission: Admission) -> Ending | None:
    """How it ends at a limit, None where it waits."""
    gate = admission.gate
    if not item.reject_on_limit or (gate is not None and not gate.rejects):
        return None
    if gate is not None:
        return rejected("rate_limited", f"{gate.places} calls are in flight, as many as may be; try again later")
    return rejected("rate_limited", f"over the rate limit; try again in {admission.wait:.1f} s")


def park_of(item: Incoming, claimed: Claimed, admission: Admission, now: datetime) -> Park:
    """Until its admission time, or until its gate has a place."""
    call, gate = item.call, admission.gate
    until = now + timedelta(seconds=admission.wait)
    if gate is None:
        return Park(call.tenant, call.id, claimed.run, claimed.epoch, until, "rate_limit", call.lane)
    reason = "concurrency" if gate.rejects else "lane"
    return Park(call.tenant, call.id, claimed.run, claimed.epoch, until, reason, call.lane, gate=gate.key)
