"""Dead letters and queues through the door: a tenant sees and redrives its own."""

import base64
from datetime import timedelta
from typing import Any

import orjson
import pytest

from agents.deliver.letters import LetterSink
from agents.emit import Reason, dead_letter
from agents.line import Delivery
from domain.admission.prepare import Origin
from domain.ledger.model import Claim, Settlement, Source, Standing, State
from domain.ledger.results import Spent, failed, finish
from domain.ports import Item, Record
from tests.api.door import Door, assert_problem, utc_now
from topics.call import PromptCall
from topics.codec import body_hash, read_request, request_hash
from topics.table import CALLS, DEAD_LETTERS, REQUESTS

TEMPLATED = {"template": {"name": "sentiment", "version": 1, "variables": {"text": "It broke."}}, "model": "fast"}


def delivery(topic: str, value: bytes, offset: int = 0) -> Delivery:
    return Delivery((topic, 0), topic, 0, offset, 1, b"key", value, [("x-mine", b"1")], utc_now().timestamp())


async def keep(door: Door, one: Delivery, reason: Reason) -> None:
    """What agents and wake do with a dead letter."""
    record = dead_letter(one, reason, utc_now())
    items = [Item(DEAD_LETTERS, 0, 0, utc_now(), record.key, record.value or b"", record.headers)]
    assert await LetterSink(door.letters).write(items) == []


async def fail(door: Door, id: str, tenant: str = "acme", **body: Any) -> str:
    """A request that failed after its calls, as infer leaves it; the name of its letter."""
    fields = {"id": id, "tenant": tenant, **(body or {"prompt": "Where is it?"})}
    value = orjson.dumps(fields)
    door.broker.append(record := Record(REQUESTS, value))
    place = len(door.broker.log[REQUESTS]) - 1
    read = read_request(value)
    call = door.preparer.prepare(read.request, Origin(request_hash(body_hash(fields)), utc_now()))
    source = Source(REQUESTS, place % door.broker.partitions, place // door.broker.partitions)
    assert door.broker.read(REQUESTS, source.partition, source.offset)[0].value == record.value
    [claimed] = await door.ledger.claim(
        [Claim(tenant, id, body_hash(fields), source, call.encode(), call.lane, utc_now())]
    )
    assert not isinstance(claimed, Exception)
    assert claimed.standing is Standing.NEW
    _, result = finish(call, 1, failed("provider_error", "it broke"), Spent(), utc_now())
    await door.ledger.settle([Settlement(tenant, id, 1, 0, State.FAILED, result, "infer", "provider_error")])
    await door.ledger.emitted([(tenant, id, 1)])
    reason = Reason("infer", "provider_error", "it broke", (), tenant, id, 1, 5)
    await keep(door, delivery(CALLS[call.lane], call.encode(), place), reason)  # type: ignore[index]
    listed = (await door.client.get("/v1/dead-letters", params={"id": id})).json()["items"]
    return listed[0]["letter"] if tenant == "acme" else ""


async def redrive(door: Door, name: str = "", **body: Any) -> tuple[int, dict[str, Any]]:
    path = f"/v1/dead-letters/{name}/redrive" if name else "/v1/dead-letters/redrive"
    answer = await door.client.post(path, content=orjson.dumps(body))
    return answer.status_code, answer.json()


async def waiting_call(door: Door, id: str) -> PromptCall:
    """The call of a redriven request, as wake would hand it on."""
    row = door.store.requests["acme", id]
    assert (row.run, row.state) == (2, State.WAITING)
    return PromptCall.decode(row.calls[2])


@pytest.fixture(autouse=True)
def idle(door: Door) -> None:
    """The line of the door must not answer what these tests put on its topic."""
    door.line.open.clear()


async def test_letters_are_listed_shown_and_belong_to_their_tenant(door: Door) -> None:
    name = await fail(door, "a")
    await fail(door, "b")
    await fail(door, "theirs", "globex")
    page = (await door.client.get("/v1/dead-letters?limit=1")).json()
    assert [one["id"] for one in page["items"]] == ["b"]
    page = (await door.client.get(f"/v1/dead-letters?limit=1&cursor={page['next_cursor']}")).json()
    assert ([one["id"] for one in page["items"]], page["next_cursor"]) == (["a"], None)
    shown = (await door.client.get(page["items"][0]["links"]["self"])).json()
    assert (shown["letter"], shown["code"], shown["run"], shown["redriven"]) == (name, "provider_error", 1, None)
    assert base64.b64decode(shown["message"]["value"]).decode() == shown["text"]
    theirs = await door.client.get(f"/v1/dead-letters/{name}", headers=door.bearer(door.other))
    assert_problem(theirs, 404, "not_found")
    answer = await door.client.post(f"/v1/dead-letters/{name}/redrive", headers=door.bearer(door.other))
    assert_problem(answer, 404, "not_found")


async def test_letters_of_nobody_are_never_shown(door: Door) -> None:
    await keep(door, delivery(REQUESTS, b"nonsense"), Reason("intake", "unreadable", "not JSON"))
    assert (await door.client.get("/v1/dead-letters")).json()["items"] == []
    assert len(door.store.letters) == 1


@pytest.mark.parametrize("query", ["since=yesterday", "limit=0", "cursor=x", "redriven=perhaps"])
async def test_a_filter_that_means_nothing_is_named(door: Door, query: str) -> None:
    problem = assert_problem(await door.client.get(f"/v1/dead-letters?{query}"), 422, "invalid_request")
    assert query.partition("=")[0] in problem["errors"][0]["path"]


async def test_L3_a_letter_is_redriven_once_and_its_job_waits_for_it(door: Door) -> None:
    name = await fail(door, "a", prompt="Where?", deadline="2099-01-01T00:00:00.000Z")
    status, report = await redrive(door, name)
    assert (status, report["redriven"], report["skipped"]) == (202, 1, 0)
    job = (await door.client.get("/v1/jobs/a")).json()
    assert (job["status"], job["run"], job["waiting"]["reason"], job["error"]) == ("waiting", 2, "redrive", None)
    call = await waiting_call(door, "a")
    assert (call.messages[0]["content"], call.deadline, call.reply_to) == ("Where?", None, None)
    status, report = await redrive(door, name)
    assert (status, report["redriven"]) == (200, 0)
    assert report["reasons"] == [{"letter": name, "reason": "it was redriven before as run 2"}]
    assert (await door.client.get("/v1/dead-letters?redriven=true")).json()["items"][0]["redriven"]["run"] == 2


async def test_a_dry_run_counts_and_prices_and_starts_nothing(door: Door) -> None:
    for n in range(3):
        await fail(door, f"r{n}", prompt="x" * 400, parameters={"max_tokens": 100})
    status, report = await redrive(door, code="provider_error", dry_run=True)
    assert (status, report["matched"], report["redriven"]) == (200, 3, 3)
    assert report["estimate"]["requests"] == 3
    assert report["estimate"]["output_tokens_at_most"] == 300
    assert float(report["estimate"]["usd_at_most"]) > float(report["estimate"]["usd_at_least"]) > 0
    assert {row.run for row in door.store.requests.values()} == {1}
    _, dearer = await redrive(door, code="provider_error", dry_run=True, edit={"model": "smart"})
    assert float(dearer["estimate"]["usd_at_least"]) > float(report["estimate"]["usd_at_least"])


async def test_many_are_started_at_a_rate_the_newest_first(door: Door) -> None:
    names = [await fail(door, f"r{n}") for n in range(5)]
    status, report = await redrive(door, since="1h", per_second=2, limit=4)
    assert (status, report["redriven"], report["more"]) == (202, 4, True)
    dues = sorted(wait.not_before for wait in door.store.waiting.values())
    assert [later - dues[0] for later in dues] == [timedelta(seconds=n / 2) for n in range(4)]
    assert door.store.requests["acme", "r0"].run == 1, "the oldest was left out"
    status, report = await redrive(door, letters=names)
    assert (status, report["redriven"], report["skipped"]) == (202, 1, 4)


async def test_a_model_and_a_schema_are_edited_on_the_way(door: Door) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    name = await fail(door, "a")
    before = PromptCall.decode(door.store.requests["acme", "a"].calls[1])
    await redrive(door, name, edit={"model": "smart", "output_schema": schema})
    call = await waiting_call(door, "a")
    assert (call.model, call.output_schema, call.messages) == ("smart", schema, before.messages)
    assert call.cache_key != before.cache_key
    assert call.request_hash == before.request_hash, "for its sender it is still the answer to what he sent"


async def test_a_template_is_edited_with_the_variables_of_the_request(door: Door) -> None:
    name = await fail(door, "a", **TEMPLATED)
    await redrive(door, name, edit={"template": {"name": "entities"}})
    call = await waiting_call(door, "a")
    assert call.template == {"name": "entities", "version": 1}
    assert "It broke." in str(call.messages)
    other = await fail(door, "b", prompt="Where?")
    await redrive(door, other, edit={"template": {"name": "sentiment", "variables": {"text": "Given anew."}}})
    assert "Given anew." in str((await waiting_call(door, "b")).messages)


async def test_a_template_whose_variables_are_gone_says_what_to_do(door: Door) -> None:
    name = await fail(door, "a", **TEMPLATED)
    door.broker._items.clear()
    status, report = await redrive(door, name, edit={"template": {"name": "intent"}})
    assert (status, report["redriven"]) == (200, 0)
    assert "give them in the edit" in report["reasons"][0]["reason"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"model": "nobody/knows"}, "nobody/knows"),
        ({"output_schema": {"type": "nonsense"}}, "nonsense"),
        ({"template": {"name": "nonesuch"}}, "nonesuch"),
    ],
)
async def test_an_edit_that_does_not_fit_starts_nothing_and_is_explained(door: Door, edit: Any, said: str) -> None:
    name = await fail(door, "a", **TEMPLATED)
    status, report = await redrive(door, name, edit=edit)
    assert (status, report["skipped"]) == (200, 1)
    assert said in report["reasons"][0]["reason"]
    assert door.store.requests["acme", "a"].run == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"dry_run": 1},
        {"code": "x", "speed": 3},
        {"since": "soon"},
        {"letters": ["x"]},
        {"code": "x", "per_second": 0},
    ],
)
async def test_an_order_that_means_nothing_or_all_is_refused(door: Door, body: Any) -> None:
    await fail(door, "a")
    answer = await door.client.post("/v1/dead-letters/redrive", content=orjson.dumps(body))
    assert_problem(answer, 422, "invalid_request")


async def test_a_record_that_never_was_a_request_is_published_again_as_it_came(door: Door) -> None:
    value = orjson.dumps({"id": "early", "tenant": "acme", "prompt": "x"})
    await keep(door, delivery(REQUESTS, value, 7), Reason("intake", "too_old", "old", (), "acme", "early"))
    status, report = await redrive(door, code="too_old")
    assert (status, report["redriven"], report["estimate"]["requests"]) == (202, 1, 1)
    assert (await redrive(door, code="too_old"))[1]["matched"] == 0
    [(letter, edited)] = await door.letters.due(9)
    assert (letter.id, edited) == ("early", None)


async def test_what_a_sink_refused_is_redriven_by_the_operator_alone(door: Door) -> None:
    row = orjson.dumps({"id": "a", "tenant": "acme", "run": 1})
    await keep(
        door, delivery("prompt.results", row), Reason("deliver.clickhouse", "refused_by_sink", "no", (), "acme", "a", 1)
    )
    status, report = await redrive(door, since="1h")
    assert (status, report["skipped"]) == (200, 1)
    assert "operator" in report["reasons"][0]["reason"]


async def test_queues_show_what_is_unfinished_and_what_it_waits_for(door: Door) -> None:
    await fail(door, "a")
    await redrive(door, since="1h")
    body = (await door.client.get("/v1/queues")).json()
    lanes = {row["lane"]: row for row in body["items"]}
    assert body["complete"] is True
    assert list(lanes) == ["interactive", "standard", "bulk"]
    assert (lanes["standard"]["waiting"], lanes["standard"]["accepted"], lanes["bulk"]["waiting"]) == (1, 0, 0)
    assert lanes["standard"]["reasons"][0]["reason"] == "redrive"
    assert lanes["standard"]["next_due"] == lanes["standard"]["reasons"][0]["next_due"]
    other = (await door.client.get("/v1/queues", headers=door.bearer(door.other))).json()
    assert sum(row["waiting"] for row in other["items"]) == 0


# --- of sources ------------------------------------------------------------------------------------------------------

BOUND = {"topic": "crm.tickets", "request": {"tenant": "acme"}, "map": {"id": "nr", "prompt": "text"}}


async def bury(door: Door, event: dict[str, Any]) -> None:
    """A record that the source `tickets` could not map."""
    one = delivery("crm.tickets", orjson.dumps(event))
    await keep(door, one, Reason("deliver.source-tickets", "refused_by_sink", "source tickets: no id"))


async def test_operators_redrive_what_a_source_could_not_map(door: Door) -> None:
    await bury(door, {"nr": "7", "text": "Where is it?"})
    await fail(door, "a")
    operator = door.bearer(door.other)
    found = await door.client.get("/v1/dead-letters?source=tickets", headers=operator)
    (letter,) = found.json()["items"]
    assert (letter["tenant"], letter["stage"]) == (None, "deliver.source-tickets")
    path = f"{letter['links']['self']}/redrive"
    refused = (await door.client.post(path, headers=operator)).json()
    assert (refused["redriven"], "'tickets' is gone" in refused["reasons"][0]["reason"]) == (0, True)
    made = await door.client.put("/v1/sources/tickets", headers=operator, content=orjson.dumps(BOUND))
    assert made.status_code == 201
    order = orjson.dumps({"source": "tickets"})
    started = await door.client.post("/v1/dead-letters/redrive", headers=operator, content=order)
    assert (started.status_code, started.json()["matched"], started.json()["redriven"]) == (202, 1, 1)
    ((_, value),) = await door.letters.due(9)
    assert orjson.loads(value or b"")["id"] == "7"
    again = await door.client.post(path, headers=operator)
    assert again.json()["reasons"][0]["reason"] == "it was redriven before"


async def test_customers_neither_see_nor_redrive_what_a_source_could_not_map(door: Door) -> None:
    await bury(door, {"nr": "7", "text": "Where is it?"})
    [(_, name)] = door.store.letters
    assert (await door.client.get("/v1/dead-letters")).json()["items"] == []
    assert_problem(await door.client.get("/v1/dead-letters?source=tickets"), 403, "forbidden")
    assert_problem(await door.client.get(f"/v1/dead-letters/{name}"), 404, "not_found")
    assert_problem(await door.client.post(f"/v1/dead-letters/{name}/redrive"), 404, "not_found")
    order = orjson.dumps({"source": "tickets"})
    assert_problem(await door.client.post("/v1/dead-letters/redrive", content=order), 403, "forbidden")
