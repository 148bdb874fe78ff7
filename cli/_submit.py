"""What `submit` and `ask` do."""

import asyncio
import dataclasses
import io
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import orjson
import typer
import uuid_utils
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli._output import print_error, print_json, print_table
from cli._rows import Defaults, Refusal, Row, request, rows
from cli._sending import Results, Waiting, send
from cli._stack import Stack
from cli._submit_options import AskOptions, RowOptions, RunOptions
from cli._target import Target, find
from connectors import catalog
from domain.pricing.estimate import Estimator
from domain.schemas.model import is_reference
from topics.base import format_money
from topics.codec import Read

SHOWN = 20


@dataclass(slots=True)
class Summary:
    """What became of a file."""

    rows: int = 0
    sent: int = 0
    refused: list[Refusal] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    cost_usd: Decimal = Decimal(0)

    def take(self, row: dict[str, Any]) -> None:
        """Count a result or a dead letter."""
        self.ended[row.get("status") or "dead_lettered"] += 1
        self.cost_usd += Decimal(row["usage"]["cost_usd"]) if "usage" in row else 0

    @property
    def well(self) -> bool:
        return not self.refused and not self.unanswered and set(self.ended) <= {"completed"}


def submit(stack: Stack, file: str, defaults: RowOptions, run: RunOptions) -> None:
    """See cli.data.submit; raises typer.Exit(1) unless all went well."""
    target = find(stack)
    options = dataclasses.asdict(defaults) | {"tenant": defaults.tenant or target.tenant}
    summary = Summary()
    with ExitStack() as opened:
        requests = _requests(open_rows(file, opened), file.endswith(".csv"), Defaults(**options), summary)
        if run.estimate:
            _estimate(target, requests, summary, run.as_json)
        else:
            _run(target, requests, run, summary)
    _refusals(summary)
    if not summary.well:
        raise typer.Exit(1)


def ask(stack: Stack, question: str, how: AskOptions) -> None:
    """See cli.data.ask; raises typer.Exit(1) when there is no answer."""
    target = find(stack)
    fields: dict[str, Any] = {
        "id": str(uuid_utils.uuid7()),
        "tenant": target.tenant_or(how.tenant),
        "prompt": sys.stdin.read() if question == "-" else question,
        "lane": "interactive",
        "output_schema": read_schema(how.schema) if how.schema else None,
        "model": how.model or "fast",
    }
    ready = request(Row(1, {name: value for name, value in fields.items() if value is not None}), Defaults())
    if isinstance(ready, Refusal):
        raise typer.BadParameter(ready.reason)
    waiting = Waiting()
    waiting.add(ready[0])
    with Results(target) as results:
        asyncio.run(send(target, [ready], lambda _: None))
        row = next(results.of(waiting, how.timeout), None)
    if row is None:
        print_error(f"no answer within {how.timeout:g} s: structured-prompt explain {fields['id']} says why")
        raise typer.Exit(1)
    _answer(row, how.as_json)


def _answer(row: dict[str, Any], as_json: bool) -> None:
    error = row.get("error") or ({"code": row["code"], "message": row["reason"]} if "code" in row else None)
    if as_json:
        print_json(row)
    elif error:
        print_error(f"{error['code']}: {error['message']}")
    else:
        print(row["output"] if isinstance(row["output"], str) else json.dumps(row["output"], indent=2))
        cost, took = row["usage"]["cost_usd"], row["timings"]["total_ms"]
        print(f"{row['provider']}/{row['model']}, {took} ms, {cost} USD", file=sys.stderr)
    if error:
        raise typer.Exit(1)


def read_schema(path: Path) -> Any:
    """A JSON Schema from a file. Raises typer.BadParameter."""
    try:
        schema = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise typer.BadParameter(f"{path} is not JSON: {error}") from None
    if not isinstance(schema, dict):
        raise typer.BadParameter(f"{path} is not a JSON Schema: an object is needed")
    return schema


def open_rows(file: str, opened: ExitStack) -> io.BufferedReader:
    if file == "-":
        return io.BufferedReader(cast(io.RawIOBase, sys.stdin.buffer))
    try:
        return opened.enter_context(Path(file).open("rb"))
    except OSError as error:
        raise typer.BadParameter(f"cannot read {file}: {error.strerror}") from None


def _requests(
    reader: io.BufferedReader, is_csv: bool, defaults: Defaults, summary: Summary
) -> Iterator[tuple[Read, bytes]]:
    try:
        for row in rows(reader, is_csv):
            summary.rows += 1
            ready = request(row, defaults)
            if isinstance(ready, Refusal):
                summary.refused.append(ready)
            else:
                yield ready
    except ValueError as error:
        summary.refused.append(Refusal(summary.rows + 1, f"the file cannot be read on from here: {error}"))


def _estimate(target: Target, requests: Iterator[tuple[Read, bytes]], summary: Summary, as_json: bool) -> None:
    models = catalog.catalogue(target.settings, target.environ)
    preparer = catalog.preparer(
        target.settings, models, partial(catalog.find_schemas, target.settings.database_url.get_secret_value())
    )
    estimator = Estimator(preparer, datetime.now(UTC))
    for read, _ in requests:
        if is_reference(read.request.output_schema):
            asyncio.run(preparer.load((read.request,)))
        reason = estimator.add(read)
        if reason is not None:
            summary.refused.append(Refusal(summary.rows, reason))
    amounts = dataclasses.asdict(estimator.total)
    total = {name: format_money(value) if isinstance(value, Decimal) else value for name, value in amounts.items()}
    if as_json:
        print_json({**total, "refused": len(summary.refused), "warnings": estimator.warnings})
        return
    print_table(tuple(total), [tuple(total.values())], title="estimate; nothing was sent")
    for warning in estimator.warnings[:SHOWN]:
        print(f"not enforced by {warning}", file=sys.stderr)


def _run(target: Target, requests: Iterator[tuple[Read, bytes]], run: RunOptions, summary: Summary) -> None:
    started, waits = time.monotonic(), run.wait or run.output is not None
    waiting = Waiting()

    def remembered() -> Iterator[tuple[Read, bytes]]:
        for read, raw in requests:
            if waits:
                waiting.add(read)
            yield read, raw

    with ExitStack() as opened:
        output = _output(run.output, opened)
        results = opened.enter_context(Results(target)) if waits else None
        progress = opened.enter_context(_progress())
        sending = progress.add_task("sent", total=None)
        summary.sent = asyncio.run(send(target, remembered(), lambda count: progress.advance(sending, count)))
        progress.update(sending, total=summary.sent, completed=summary.sent)
        answered = progress.add_task("answered", total=len(waiting.hashes), visible=waits)
        for row in results.of(waiting, run.timeout) if results else ():
            summary.take(row)
            progress.advance(answered)
            output.write(orjson.dumps(row) + b"\n")
    summary.unanswered = len(waiting.hashes)
    _report(summary, waits, run, time.monotonic() - started)


def _output(path: str | None, opened: ExitStack) -> IO[bytes]:
    if path == "-":
        return sys.stdout.buffer
    try:
        return opened.enter_context(Path(path or os.devnull).open("wb"))
    except OSError as error:
        raise typer.BadParameter(f"cannot write {path}: {error.strerror}") from None


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _report(summary: Summary, waits: bool, run: RunOptions, seconds: float) -> None:
    said: dict[str, object] = {"sent": summary.sent, "refused": len(summary.refused)}
    if waits:
        said |= {**summary.ended, "unanswered": summary.unanswered, "cost_usd": format_money(summary.cost_usd)}
    out = sys.stderr if run.output == "-" else sys.stdout
    if run.as_json:
        print(json.dumps(said), file=out)
    else:
        print(f"{', '.join(f'{name} {value}' for name, value in said.items())} in {seconds:.1f} s", file=out)


def _refusals(summary: Summary) -> None:
    for refusal in summary.refused[:SHOWN]:
        print_error(f"line {refusal.line}: {refusal.reason}")
    if len(summary.refused) > SHOWN:
        print_error(f"and {len(summary.refused) - SHOWN} more rows that are no requests")
