"""Lists, shows and redrives the dead letters of one tenant, and for operators those of sources."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson

from api.bodies import read
from api.operating import Operators
from api.paging import decode_cursor, encode_cursor
from api.problems import Problem
from api.redrive_schemas import Filter, RedriveEdit, RedriveMany, RedriveOne
from api.usage.service import since_of
from api.within import LEDGER, PATIENCE_S, within
from domain.errors import Problem as Reason
from domain.feeding.letters import source_of, stage_of
from domain.letters.model import Letter, Wanted
from domain.letters.redrive import Edit
from domain.ports import Letters
from domain.redriving import view
from domain.redriving.redriver import Order, Redriver, Report

REDRIVE_PATIENCE_S = 30.0
_NAME = re.compile("[0-9a-f]{32}")


class DeadLetters:
    """Answers are the bytes of the body. Every method raises Problem (unavailable) when PostgreSQL does not answer."""

    def __init__(self, letters: Letters, redriver: Redriver, operators: Operators, now: Callable[[], datetime]) -> None:
        self._letters = letters
        self._redriver = redriver
        self._operators = operators
        self._now = now

    async def page(self, tenant: str, asked: Filter) -> bytes:
        owner, stage = self._whose(tenant, asked.source)
        wanted = Wanted(
            owner, asked.code, asked.id, self._moment(asked.since, "/query/since"),
            self._moment(asked.until, "/query/until"), asked.redriven, stage=stage,
        )  # fmt: skip
        before, limit = decode_cursor(asked.cursor) if asked.cursor else None, asked.limit
        found = await within(self._letters.page(wanted, limit + 1, before), PATIENCE_S, LEDGER)
        last = found[limit - 1] if len(found) > limit else None
        items = [{**view.summary(letter), "links": _links(letter)} for letter in found[:limit]]
        return orjson.dumps(
            {"items": items, "next_cursor": encode_cursor(last.last_seen, last.letter) if last else None}
        )

    async def one(self, tenant: str, name: str) -> bytes:
        letter = await self._letter(tenant, name)
        return orjson.dumps({**view.whole(letter), "links": _links(letter)})

    async def redrive_one(self, tenant: str, name: str, body: bytes) -> tuple[bytes, bool]:
        """The report, and whether anything was started."""
        asked = read(RedriveOne, body)
        letter = await self._letter(tenant, name)
        wanted = Wanted(letter.tenant, letters=(letter.letter,), stage=letter.stage)
        return await self._redrive(Order(wanted, 1, 1.0, _edit(asked.edit), asked.dry_run))

    async def redrive(self, tenant: str, body: bytes) -> tuple[bytes, bool]:
        """The report, and whether anything was started."""
        asked = read(RedriveMany, body)
        if not asked.names_something:
            reason = Reason("", "at least one of letters, code, id, source, since and until is needed")
            raise Problem("invalid_request", "say which letters to redrive: `since` of a year ago means all", (reason,))
        owner, stage = self._whose(tenant, asked.source)
        wanted = Wanted(
            owner, asked.code, asked.id, self._moment(asked.since, "/since"), self._moment(asked.until, "/until"),
            redriven=None if asked.letters is not None else False,
            letters=None if asked.letters is None else tuple(asked.letters), stage=stage,
        )  # fmt: skip
        return await self._redrive(Order(wanted, asked.limit, asked.per_second, _edit(asked.edit), asked.dry_run))

    async def _redrive(self, order: Order) -> tuple[bytes, bool]:
        found: Report = await within(self._redriver.redrive(order), REDRIVE_PATIENCE_S, LEDGER)
        return orjson.dumps(view.report(found)), bool(found.redriven) and not found.dry_run

    def _whose(self, tenant: str, source: str | None) -> tuple[str | None, str | None]:
        """(tenant, stage) of the letters that are asked for. Those of a source belong to no tenant."""
        if source is None:
            return tenant, None
        self._operators.demand(tenant)
        return None, stage_of(source)

    async def _letter(self, tenant: str, name: str) -> Letter:
        """One of the tenant's, or, for an operator, of a source."""
        whose = None if self._operators.include(tenant) else tenant
        found = await within(self._letters.get(whose, [name]), PATIENCE_S, LEDGER) if _NAME.fullmatch(name) else []
        found = [one for one in found if one.tenant == tenant or source_of(one) is not None]
        if not found:
            raise Problem("not_found", f"no dead letter has the name {name[:64]!r}")
        return found[0]

    def _moment(self, text: str | None, place: str) -> datetime | None:
        return None if text is None else since_of(text, self._now(), place)


def _edit(asked: RedriveEdit) -> Edit:
    template: dict[str, Any] | None = None
    if asked.template is not None:
        template = asked.template.model_dump(exclude_unset=True)
    return Edit(asked.model, asked.output_schema, template)


def _links(letter: Letter) -> dict[str, str]:
    here = f"/v1/dead-letters/{letter.letter}"
    links = {"self": here, "redrive": f"{here}/redrive"}
    return {**links, "job": f"/v1/jobs/{letter.id}"} if letter.of_a_run else links
