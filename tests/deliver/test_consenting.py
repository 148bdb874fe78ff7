"""Answers leave only where their tenant agreed."""

import orjson
import pytest

from connectors.consenting import LOOK_EVERY_S, Consenting
from connectors.memory.sink import MemorySink
from domain.errors import Unavailable
from tests.contract.messages import call, item, result
from topics.table import RESULTS


class Tenants:
    """Who agreed; `asked` counts how often somebody wanted to know."""

    def __init__(self, *names: str) -> None:
        self.names, self.asked, self.away, self.now = set(names), 0, False, 0.0

    async def __call__(self) -> frozenset[str]:
        self.asked += 1
        if self.away:
            raise Unavailable("PostgreSQL does not answer")
        return frozenset(self.names)

    def around(self, sink: MemorySink) -> Consenting:
        return Consenting(sink, self, lambda: self.now)


async def test_only_answers_of_tenants_that_agreed_pass() -> None:
    sink, tenants = MemorySink(), Tenants("acme")
    whole = result(tenant="acme")
    assert await tenants.around(sink).write([whole, result(tenant="globex"), call()]) == []
    assert sink.results["acme", "r1"].output == {"label": "positive"}
    assert sink.results["globex", "r1"].output is None
    assert sink.results["globex", "r1"].tags == {"team": "support"}
    assert len(sink.calls) == 1


async def test_a_refused_record_is_named_as_it_came() -> None:
    poison = result(tenant="globex", run=3)._replace(offset=4)
    poison = poison._replace(value=poison.value.replace(b'"completed"', b'"finished"'))
    others = [item(RESULTS, b"[]", 5), item(RESULTS, b'{"output": 5, "tenant": []}', 6), item(RESULTS, b"\xff", 7)]
    refused = await Tenants().around(MemorySink()).write([poison, *others])
    assert [one.item for one in refused] == [poison, *others]
    assert orjson.loads(refused[0].item.value)["output"] == {"label": "positive"}


async def test_a_consent_is_asked_for_now_and_then_and_the_last_one_holds() -> None:
    sink, tenants = MemorySink(), Tenants("acme")
    consenting = tenants.around(sink)
    tenants.away = True
    with pytest.raises(Unavailable):
        await consenting.write([result()])
    tenants.away = False
    await consenting.write([result()])
    await consenting.write([result()])
    assert tenants.asked == 2
    tenants.away, tenants.now = True, LOOK_EVERY_S
    await consenting.write([result("r2")])
    assert sink.results["acme", "r2"].output is not None
    tenants.away, tenants.now = False, 2 * LOOK_EVERY_S
    tenants.names.clear()
    await consenting.write([result("r3")])
    assert sink.results["acme", "r3"].output is None
