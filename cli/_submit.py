"""What `submit` and `ask` do."""

import asyncio
import dataclasses
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
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

from cli._output import print_error, print_json, print_table, print_text
from cli._rows import Broken, Defaults, Refusal, Row, request, rows
from cli._sending import Results, Waiting, send
from cli._stack import Stack
from cli._submit_options import AskOptions, RowOptions, RunOptions
from cli._summary import SHOWN, Summary
from cli._target import Target, find
from connectors import catalog
from domain.pricing.estimate import Estimator
from domain.schemas.model import is_reference
from topics.base import format_money
from topics.codec import Read


def submit(stack: Stack, file: str, defaults: RowOptions, run: RunOptions) -> None:
    """See cli.data.submit; raises typer.Exit(1) unless all went well."""
    target = find(stack)
    options = dataclasses.asdict(defaults) | {"tenant": defaults.tenant or target.tenant}
    summary = Summary()
    with ExitStack() as opened:
        waiting = Waiting() if run.waits else None
        requests = _requests(rows(open_rows(file, opened), file), Defaults(**options), summary, waiting)
        if run.estimate:
            _estimate(target, requests, summary, run.as_json)
        else:
            _run(target, requests, run, summary, waiting)
    if not summary.rows:
        print_error(f"{file} has no rows")
    summary.complain()
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
        print_text(row["output"] if isinstance(row["output"], str) else json.dumps(row["output"], indent=2))
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
    given: Iterator[Row], defaults: Defaults, summary: Summary, waiting: Waiting | None
) -> Iterator[tuple[Read, bytes]]:
    try:
        for row in given:
            summary.rows += 1
            ready = request(row, defaults)
            if not isinstance(ready, Refusal) and waiting is not None and not waiting.add(ready[0]):
                ready = Refusal(
                    row.line,
                    f"its id, {ready[0].request.id}, stands before, in a row with other content: an id is one request",
                )
            if isinstance(ready, Refusal):
                summary.refused.append(ready)
            else:
                yield ready
    except Broken as error:
        summary.rows += 1
        summary.refused.append(Refusal(error.line, str(error)))


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


def _run(
    target: Target, requests: Iterator[tuple[Read, bytes]], run: RunOptions, summary: Summary, waiting: Waiting | None
) -> None:
    started, waits = time.monotonic(), waiting is not None
    waiting = waiting or Waiting()
    with ExitStack() as opened:
        output = _output(run.output, opened)
        results = opened.enter_context(Results(target)) if waits else None
        progress = opened.enter_context(_progress())
        sending = progress.add_task("sent", total=None)
        summary.sent = asyncio.run(send(target, requests, lambda count: progress.advance(sending, count)))
        progress.update(sending, total=summary.sent, completed=summary.sent)
        answered = progress.add_task("answered", total=len(waiting.hashes), visible=waits)
        for row in results.of(waiting, run.timeout) if results else ():
            summary.take(row)
            progress.advance(answered)
            output.write(orjson.dumps(row) + b"\n")
    summary.unanswered = len(waiting.hashes)
    out = sys.stderr if run.output == "-" else sys.stdout
    print(summary.told(waits, time.monotonic() - started, as_json=run.as_json), file=out)


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
