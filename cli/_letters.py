"""What `dead-letters` does: the operator's view, over all tenants."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import typer

from cli._letter_options import Choice, Edits, Pace
from cli._output import print_json, print_table
from cli._stack import Stack
from cli._submit import read_schema
from cli._target import Target, find
from cli._time import parse_since
from connectors import catalog, feeds
from connectors.audited.postgres import Repositories
from connectors.kafka import security
from connectors.kafka.originals import KafkaOriginals
from connectors.postgres.pool import connect
from domain.errors import Conflict
from domain.feeding.letters import stage_of
from domain.letters.model import Letter, Wanted
from domain.letters.redrive import Edit
from domain.ports import Letters
from domain.redriving import view
from domain.redriving.redriver import Order, Redriver, Report

T = TypeVar("T")
COLUMNS = ("letter", "last_seen", "stage", "code", "tenant", "id", "run", "redriven", "reason")
_REASON = 80


def list_letters(stack: Stack, choice: Choice, limit: int, waiting: bool, as_json: bool) -> None:
    wanted = _wanted(choice, redriven=False if waiting else None)
    found = _with_letters(find(stack), lambda letters: letters.page(wanted, limit, None))
    rows = [view.summary(letter) for letter in reversed(found)]
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    print_table(COLUMNS, [[_cell(row, name) for name in COLUMNS] for row in rows])


def show_letter(stack: Stack, name: str) -> None:
    """Raises Conflict when there is none."""

    async def look(letters: Letters) -> list[Letter]:
        named = await letters.page(Wanted(None, id=name), 100, None)
        return await letters.get(None, [name, *(one.letter for one in named)])

    found = _with_letters(find(stack), look)
    if not found:
        raise Conflict(f"there is no dead letter {name!r}; `structured-prompt dead-letters list` shows them")
    for letter in found:
        print_json(view.whole(letter))


def redrive(stack: Stack, choice: Choice, edits: Edits, pace: Pace, names: list[str] | None) -> None:
    """Raises Conflict when a named letter does not exist."""
    target = find(stack)
    wanted = _wanted(choice, redriven=None if names else False, letters=tuple(names) if names else None)
    order = Order(wanted, pace.limit, pace.rate, _edit(edits), pace.dry_run)

    def work(found: Repositories) -> Awaitable[Report]:
        find_schemas = partial(catalog.find_schemas, target.settings.database_url.get_secret_value())
        models = catalog.catalogue(target.settings, target.environ)
        preparer = catalog.preparer(target.settings, models, find_schemas)
        originals = KafkaOriginals(security.librdkafka(target.settings))
        remapping = feeds.remapping(target.settings, {**os.environ, **target.environ}, found.sources)
        return Redriver(found.letters, originals, preparer, remapping, lambda: datetime.now(UTC)).redrive(order)

    report = _with(target, work)
    if names and report.matched < len(set(names)):
        raise Conflict(f"{len(set(names)) - report.matched} of the letters do not exist; the others were worked on")
    _tell(report, pace.as_json)


def _tell(report: Report, as_json: bool) -> None:
    said = view.report(report)
    if as_json:
        print_json(said)
        return
    estimate = said["estimate"]
    cost = f"{estimate['usd_at_least']} to {estimate['usd_at_most']}"
    verb = "would be redriven" if report.dry_run else "redriven"
    row = (report.matched, report.redriven, len(report.skipped), cost, said["last_due"])
    print_table(("matched", verb, "skipped", "estimated cost in USD", "the last starts"), [row])
    if report.skipped:
        print_table(("skipped", "why"), report.skipped[: view.SKIPPED_SHOWN])
    if report.more:
        print("there are more: raise --limit, or repeat the command")


def _wanted(choice: Choice, redriven: bool | None, letters: tuple[str, ...] | None = None) -> Wanted:
    since = parse_since(choice.since) if choice.since else None
    until = parse_since(choice.until) if choice.until else None
    stage = stage_of(choice.source) if choice.source else None
    return Wanted(choice.tenant, choice.reason, choice.request, since, until, redriven, letters, stage)


def _edit(edits: Edits) -> Edit:
    template: dict[str, Any] | None = None
    if edits.template is not None:
        name, _, version = edits.template.partition("@")
        if version and not version.isdigit():
            raise typer.BadParameter(f"--template {edits.template}: the version is a number, as in sentiment@2")
        template = {"name": name, "version": int(version) if version else None}
    return Edit(edits.model, read_schema(edits.schema) if edits.schema else None, template)


def _cell(row: dict[str, Any], name: str) -> object:
    if name == "redriven" and row[name] is not None:
        return f"run {row[name]['run']}" if row[name]["run"] else "again"
    value = row[name]
    return value[: _REASON - 1] + "…" if name == "reason" and len(value) > _REASON else value


def _with_letters(target: Target, work: Callable[[Letters], Awaitable[T]]) -> T:
    return _with(target, lambda found: work(found.letters))


def _with(target: Target, work: Callable[[Repositories], Awaitable[T]]) -> T:
    async def run() -> T:
        pool = await connect(target.settings.database_url.get_secret_value(), 1)
        try:
            return await work(Repositories(pool))
        finally:
            await pool.close()

    return asyncio.run(run())
