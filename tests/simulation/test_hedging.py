"""The same rules where slow calls have a second one beside them: what falls between two calls of one run."""

import pytest

from agents.infer.hedging import Hedger
from agents.infer.work import Work
from connectors.memory.schemas import MemorySchemas
from domain.admission.prepare import Preparer
from domain.output.recovery import UNUSED
from domain.prompting.library import Library
from domain.routing.catalogue import Catalogue
from domain.routing.hedging import HedgeBudget
from domain.schemas.book import Book
from tests.line.memory_line import TEMPLATES
from tests.simulation import workers
from tests.simulation.runner import run_seeds

CATALOGUE = """
price_version: "1"
providers: {simulated: {base_url: "http://127.0.0.1:1/v1"}}
models:
  - {provider: simulated, model: small, output_limit: 16384, price: {input: 0.15, output: 0.60}}
  - {provider: simulated, model: large, output_limit: 32768, price: {input: 2.50, output: 10}}
aliases: {fast: {models: [simulated/small, simulated/large], hedge: {}}, smart: [simulated/large]}
"""
SLOW_S = 0.3


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Every first call that takes longer is hedged, in any lane and without having been measured."""
    made: list[None] = []
    preparer = Preparer(
        Library.load([TEMPLATES]), Catalogue.load(CATALOGUE, {}), Book(MemorySchemas().find, lambda: 0.0)
    )

    def after(_: Hedger, work: Work) -> float | None:
        first = work.used == UNUSED and not work.tried and work.call.on_unknown_outcome != "fail"
        return SLOW_S if first else None

    def spend(_: HedgeBudget) -> bool:
        made.append(None)
        return True

    monkeypatch.setattr(workers, "preparer", lambda: preparer)
    monkeypatch.setattr(Hedger, "after", after)
    monkeypatch.setattr(HedgeBudget, "spend", spend)
    return made


def test_L2_L6_L8_L9_L11_L12_L14_L15_hold_where_calls_are_hedged(begun: list[None]) -> None:
    report = run_seeds(range(4_400, 4_900))
    assert report.failure is None, report.failure.explained()
    assert len(begun) > 200
