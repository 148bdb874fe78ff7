"""The options of `submit` and `ask`. Light, so that `--help` is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

Lane = Literal["interactive", "standard", "bulk"]
Tenant = Annotated[str | None, typer.Option(help="Whose; of an embedded stack demo.")]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]


@dataclass(frozen=True)
class RowOptions:
    """What rows get that do not say it themselves."""

    template: Annotated[str | None, typer.Option(metavar="NAME", help="For rows without a prompt.")] = None
    model: Annotated[str | None, typer.Option(help="An alias or provider/model, for rows without one.")] = None
    lane: Annotated[Lane | None, typer.Option(help="For rows without one.")] = None
    tenant: Tenant = None


@dataclass(frozen=True)
class RunOptions:
    """What to do with the rows."""

    estimate: Annotated[bool, typer.Option("--estimate", help="Print rows, tokens and cost; send nothing.")] = False
    wait: Annotated[bool, typer.Option("--wait", help="Stay until every request is answered.")] = False
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the results there as JSONL (- is standard output); waits.")
    ] = None
    timeout: Annotated[float | None, typer.Option(min=0, help="Seconds to wait; without it, for ever.")] = None
    as_json: AsJson = False

    @property
    def waits(self) -> bool:
        return not self.estimate and (self.wait or self.output is not None)


@dataclass(frozen=True)
class AskOptions:
    """How to ask."""

    schema: Annotated[
        Path | None, typer.Option(metavar="FILE", exists=True, dir_okay=False, help="A JSON Schema for the answer.")
    ] = None
    model: Annotated[str | None, typer.Option(help="An alias or provider/model; fast when absent.")] = None
    tenant: Tenant = None
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait.")] = 120.0
    as_json: Annotated[bool, typer.Option("--json", help="The whole result, for scripts.")] = False
