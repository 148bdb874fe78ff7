"""A port whose changes leave a row of the audit log, in one transaction with the change where both are PostgreSQL's.

The rules are data (rules.py): which method is a change of what. Everything else of the port passes as it is.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from domain.ports import Trail
from domain.trail.model import Change, State

Given = Mapping[str, Any]
"""The arguments of a call, by name."""
P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a port. Awaiting `make()` makes it, once."""

    port: Any
    given: Given
    make: Callable[[], Awaitable[Any]]


class Rule(Protocol):
    """How a method is called so that its change leaves a row."""

    async def run(self, call: Call, trail: Trail) -> Any:
        """The method's answer."""
        ...


def refused(answer: Any) -> bool:
    """The way in which most methods say that nothing was changed."""
    return answer is False


def missing(answer: Any) -> bool:
    return answer is None


def never(_: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Changes:
    """A change of one object. `of` tells its tenant and id, `look` how it stands, `said` what the call says besides.

    action: or how it is told from the arguments. failed: whether the answer means that nothing was changed.
    """

    type: str
    action: str | Callable[[Given], str]
    of: Callable[[Given], tuple[str, str]]
    look: Callable[[Any, str, str], Awaitable[State]] | None = None
    said: Callable[[Given, Any], Mapping[str, Any]] | None = None
    failed: Callable[[Any], bool] = refused

    async def run(self, call: Call, trail: Trail) -> Any:
        tenant, id = self.of(call.given)
        async with trail.together(f"{self.type} {tenant} {id}") as write:
            before = await self._look(call, tenant, id)
            answer = await call.make()
            if not self.failed(answer):
                after = await self._look(call, tenant, id)
                if self.said is not None:
                    after = {**(after or {}), **self.said(call.given, answer)}
                action = self.action if isinstance(self.action, str) else self.action(call.given)
                await write(Change(tenant, action, self.type, id, before, after))
        return answer

    async def _look(self, call: Call, tenant: str, id: str) -> State:
        return None if self.look is None else await self.look(call.port, tenant, id)


def audited(port: P, trail: Trail, rules: Mapping[str, Rule]) -> P:
    """The same port; methods that `rules` name leave a row of the trail, by whoever acts."""
    return cast("P", _Audited(port, trail, rules))


class _Audited:
    def __init__(self, port: Any, trail: Trail, rules: Mapping[str, Rule]) -> None:
        self._port = port
        self._trail = trail
        self._rules = rules

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        rule = self._rules.get(name)
        return method if rule is None else partial(self._run, rule, method)

    async def _run(self, rule: Rule, method: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        given = inspect.signature(method).bind(*args, **kwargs).arguments
        return await rule.run(Call(self._port, given, partial(method, *args, **kwargs)), self._trail)
