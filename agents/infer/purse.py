"""What infer knows of money: the budgets as it last saw them, what a call may cost, and what follows where that is
too much (rule L12). A request of a tenant without a budget costs a look into a dict."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from agents.infer.again import limited, under
from agents.infer.work import Work
from domain.budgets.model import Budget, Over, Reserve
from domain.budgets.rules import Charged, applies
from domain.ledger.results import Ending, failed, rejected
from domain.output.recovery import Used
from domain.ports import Budgets
from domain.pricing.cost import NANO
from domain.pricing.worst import FRAME, worst_case
from domain.routing.model import Deployment
from topics.base import format_money, format_time
from topics.call import PromptCall


class Purse:
    """`version` is that of the budgets it knows; a take that names an older one is told so by the ledger.

    clock: what time it is decides the price.
    """

    def __init__(self, budgets: Budgets, clock: Callable[[], datetime]) -> None:
        self.version = 0
        self._budgets = budgets
        self.clock = clock
        self._of: Mapping[str, Sequence[Budget]] = {}
        self._looking = asyncio.Lock()

    async def look(self, outdated: int) -> None:
        """Know the budgets of now; `outdated` is the version that was too old. Raises Unavailable."""
        async with self._looking:
            if self.version != outdated:
                return
            rules = await self._budgets.rules()
            of: dict[str, list[Budget]] = {}
            for budget in rules.budgets:
                of.setdefault(budget.tenant, []).append(budget)
            self._of, self.version = of, rules.version

    def pays(self, tenant: str) -> bool:
        """Whether the tenant has budgets."""
        return tenant in self._of

    def first(self, call: PromptCall, deployment: Deployment, used: Used) -> Reserve | None:
        """For the first attempt of a take, under the limit it begins with: raised where an answer was cut before."""
        if call.tenant not in self._of:
            return None
        return self._reserve(call, deployment, call.messages, under(call, deployment, used).get("max_tokens"))

    def next(self, work: Work) -> Reserve | None:
        """For a further attempt."""
        if work.call.tenant not in self._of:
            return None
        return self._reserve(work.call, work.deployment, work.messages, limited(work).get("max_tokens"))

    async def refresh(self) -> None:
        """Know the budgets of now, where no statement of the ledger says whether those it knows are old."""
        if await self._budgets.version() != self.version:
            await self.look(self.version)

    def beside(self, call: PromptCall, deployment: Deployment, text: str) -> Reserve | None:
        """For a call that only reads this text, beside the attempts at an answer."""
        price = deployment.price_at(self.clock())
        if call.tenant not in self._of or not price.input:
            return None
        serials = self._charged(call, deployment)
        amount = (len(text.encode("utf-8", "surrogatepass")) + FRAME) * price.input
        return Reserve(amount.scaleb(-6).quantize(NANO, "ROUND_UP"), serials) if serials else None

    def too_dear(self, call: PromptCall, deployment: Deployment) -> Ending | None:
        """Why not even the first call may be made, by the request's own max_cost_usd."""
        if call.max_cost_usd is None:
            return None
        amount = self._worst(call, deployment, call.messages, call.parameters.get("max_tokens"))
        if amount <= Decimal(call.max_cost_usd):
            return None
        may = f"this call may cost ${format_money(amount)}, more than the max_cost_usd of {call.max_cost_usd}"
        return rejected("budget_exceeded", f"{may}; allow more, or fewer tokens (max_tokens)")

    def beyond(self, work: Work, spent: Decimal) -> str | None:
        """Why a further call may not be made after the run has spent so much, by the request's own max_cost_usd."""
        call = work.call
        if call.max_cost_usd is None:
            return None
        amount = spent + self._worst(call, work.deployment, work.messages, limited(work).get("max_tokens"))
        if amount + work.risked <= Decimal(call.max_cost_usd):
            return None
        return f"another call could take the run above its max_cost_usd of {call.max_cost_usd}"

    def risk(self, work: Work, calls: int) -> Decimal:
        """What calls may have cost whose outcome nobody heard."""
        return calls * self._worst(work.call, work.deployment, work.messages, limited(work).get("max_tokens"))

    def _reserve(
        self, call: PromptCall, deployment: Deployment, messages: Sequence[Mapping[str, Any]], limit: int | None
    ) -> Reserve | None:
        serials = self._charged(call, deployment)
        return Reserve(self._worst(call, deployment, messages, limit), serials) if serials else None

    def _charged(self, call: PromptCall, deployment: Deployment) -> tuple[int, ...]:
        """The budgets that a call to this deployment is charged to."""
        template = call.template["name"] if call.template else None
        charged = Charged(call.api_key_id, template, call.model, deployment.provider, deployment.name)
        return tuple(budget.serial for budget in self._of[call.tenant] if applies(budget, charged))

    def _worst(
        self, call: PromptCall, deployment: Deployment, messages: Sequence[Mapping[str, Any]], limit: int | None
    ) -> Decimal:
        more = (call.output_schema, call.provider_options)
        return worst_case(deployment, messages, more, limit or deployment.max_output_tokens, self.clock())


def unaffordable(over: Over, outcomes: Sequence[str]) -> Ending:
    """How a request ends that may not wait for its budget; `outcomes` are those of its calls so far."""
    if not outcomes:
        return rejected("budget_exceeded", said(over))
    code = _CODES.get(outcomes[-1], "provider_error")
    return failed(code, f"the last call ended as {outcomes[-1]}, and another one is too dear: {said(over)}")


_CODES = {"timeout": "provider_timeout", "invalid_output": "invalid_output", "length": "invalid_output",
          "unknown": "unknown_outcome", "started": "unknown_outcome"}  # fmt: skip


def said(over: Over) -> str:
    """What happened, to what, and what to do."""
    asked = f"this call may cost ${format_money(over.asked_usd)}"
    if not over.budget:
        return f"{asked}, more than a budget has left; ask again later"
    limit = f"the budget {over.budget!r} of ${format_money(over.limit_usd)}"
    if over.never:
        return f"{asked}, more than all of {limit}; raise it, or allow fewer tokens (max_tokens)"
    left = f"${format_money(over.left_usd)} of {limit} is left until {format_time(over.until)}"
    return f"{asked}, and {left}; raise it, allow fewer tokens (max_tokens), or wait"
