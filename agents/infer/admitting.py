"""With whose token a call goes: its deployment's, or that of the next of its alias where that one is at its limit."""

from agents.infer.pacing import SOONER
from agents.infer.ports import InferPorts, Where
from agents.infer.ways import LONGEST_S

ELSEWHERE_S = 0.5
"""How long a call that its own deployment keeps waiting waits for another one."""


async def admitted(ports: InferPorts, found: Where) -> Where:
    """Where it may go now; `after` says for how long it waits as a row where nobody lets it go."""
    caller, alias = ports.caller, found.route
    if caller.pace.free(found.to):
        return found
    # a weaker model was asked before
    spills = len(alias.deployments) > 1 and alias.spillover_s is not None and not found.resumes
    patience = alias.spillover_s if spills and alias.spillover_s != LONGEST_S else None
    after = await caller.token(found.to, found.call, patience)
    if not after:
        return found
    for other in caller.routes.instead(alias, found.call, found.to) if spills else ():
        dear = ports.purse.too_dear(found.call, other) is not None
        if not dear and not await caller.token(other, found.call, ELSEWHERE_S):
            caller.metrics.count("spillovers", provider=found.to.provider, model=found.to.model)
            return found._replace(to=other)
    if after == SOONER:
        after = await caller.token(found.to, found.call)
    return found._replace(after=after, why="pacing")
