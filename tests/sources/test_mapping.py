"""From an event to a request."""

from typing import Any

import orjson
import pytest

from domain.errors import InvalidSettings
from domain.sources.mapping import Mapping, Unmappable, merged
from domain.sources.model import Source, encoded, load

EVENT = {
    "number": 4711,
    "org": {"name": "acme"},
    "body": {"text": "Where is my parcel?", "lines": ["a", "b"]},
    "queue": "returns",
    "urgent": True,
    "price": 9.5,
}
FILE = """
sources:
  tickets:
    topic: crm.tickets
    output: crm.answers
    since: 2026-01-01T00:00:00Z
    request:
      template: {name: sentiment, version: 1}
      lane: bulk
      tags: {team: support, queue: other}
    map:
      id: join('-', ['ticket', to_string(number)])
      tenant: org.name
      template: {variables: {text: body.text}}
      tags: {queue: queue, urgent: urgent, price: price, none: nothing}
      metadata: "{lines: body.lines}"
"""


def source(text: str = FILE, **environ: str) -> Source:
    (found,) = load(text, environ).values()
    return found


def test_an_event_becomes_a_request() -> None:
    assert source().request(EVENT, "otherwise") == {
        "id": "ticket-4711",
        "tenant": "acme",
        "template": {"name": "sentiment", "version": 1, "variables": {"text": "Where is my parcel?"}},
        "lane": "bulk",
        "tags": {"team": "support", "queue": "returns", "urgent": "true", "price": "9.5"},
        "metadata": {"lines": ["a", "b"]},
    }


def test_the_same_event_is_the_same_bytes_and_the_constants_stay_as_they_are() -> None:
    one = source()
    first, second = (encoded(one.request(EVENT, "otherwise")) for _ in range(2))
    assert first == second
    assert one.constants["tags"] == {"team": "support", "queue": "other"}


def test_where_no_id_is_mapped_the_record_s_place_is_the_id() -> None:
    one = source("sources: {a: {topic: t, request: {tenant: acme}, map: {prompt: text}}}")
    assert one.request({"text": "?"}, "crm.tickets:3:17")["id"] == "crm.tickets:3:17"
    assert one.request({"text": "?"}, "msg id/1")["id"] == "msg_id_1"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({**EVENT, "org": {}}, "/tenant: is not the name of a tenant"),
        ({**EVENT, "org": {"name": "not a name"}}, "/tenant: is not"),
        ({**EVENT, "number": "with space"}, "/id: is not 1 to 255"),
        ({**EVENT, "number": "x" * 300}, "/id: is not 1 to 255"),
        ([1, 2], "/tenant: is not"),
        (None, "/id: the expression does not fit"),
        ("text", "/tenant: is not"),
    ],
)
def test_what_cannot_be_attributed_is_told_without_what_it_holds(event: Any, reason: str) -> None:
    with pytest.raises(Unmappable, match=reason) as caught:
        source().request(event, "otherwise")
    assert "space" not in str(caught.value)


def test_an_id_that_is_mapped_must_be_found() -> None:
    one = source("sources: {a: {topic: t, request: {tenant: acme}, map: {id: number, prompt: text}}}")
    with pytest.raises(Unmappable, match="/id: the expression finds nothing"):
        one.request({"text": "?"}, "crm.tickets:3:17")


def test_an_expression_that_does_not_fit_is_told_with_its_place() -> None:
    mapping = Mapping({"template": {"variables": {"text": "length(number)"}}})
    with pytest.raises(Unmappable, match="/template/variables/text: the expression does not fit the event"):
        mapping.apply(EVENT)


def test_a_request_that_is_too_large_is_told() -> None:
    with pytest.raises(Unmappable, match="it may have 1048576"):
        encoded({"prompt": "x" * (1 << 20)})


def test_what_was_found_goes_over_the_constants() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}, "d": [5]}) == {"a": {"b": 1, "c": 4}, "d": [5]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [", "no YAML"),
        ("tickets: {}", "the file holds `sources:`"),
        ("sources: {a: {}}", "a: it needs a `topic` or a `bucket`, a `webhook`, or both"),
        ("sources: {A: {topic: t}}", "A: a name is up to 40 small letters"),
        ("sources: {a: {topic: t, tenant: x}}", "a: tenant: Extra inputs"),
        ("sources: {a: {topic: 'a b', request: {tenant: x}}}", "a: topic: String should match"),
        ("sources: {a: {topic: t}}", "a: `request.tenant` names the tenant"),
        ("sources: {a: {topic: t, request: {tenant: x, id: y}}}", "an id that is the same for all"),
        ("sources: {a: {topic: t, request: {tenant: 'x y'}}}", "tenant is not the name of a tenant"),
        ("sources: {a: {topic: t, request: {tenant: x, promt: y}}}", "'promt' is no field of a request"),
        ("sources: {a: {topic: t, request: {tenant: x}, map: {promt: y}}}", "'promt' is no field of a request"),
        (
            "sources: {a: {topic: t, request: {tenant: x}, map: {prompt: 'a['}}}",
            r"/prompt: 'a\[' is no JMESPath expression",
        ),
        (
            "sources: {a: {topic: t, request: {tenant: x}, map: {prompt: 1}}}",
            "/prompt: 1 is no JMESPath expression; a const",
        ),
        ("sources: {a: {topic: t, output: t, request: {tenant: x}}}", "would go round for ever"),
        ("sources: {a: {webhook: {secret_env: S}, output: t, request: {tenant: x}}}", "only what comes from a topic"),
        ("sources: {a: {webhook: {secret_env: S}, map: {tenant: x}}}", "`request.tenant` names the tenant"),
        (
            "sources: {a: {webhook: {secret_env: S}, request: {tenant: x}, map: {tenant: y}}}",
            "must not choose the tenant",
        ),
        ("sources: {a: {webhook: {secret_env: S}, request: {tenant: x}}}", "S: there is no secret in it"),
        ("sources: {a: {webhook: {secret_env: SHORT}, request: {tenant: x}}}", "SHORT: a secret has at least 16 bytes"),
        ("sources: {a: {webhook: {secret_env: NONE}, request: {tenant: x}}}", "NONE: a secret is whsec_ and base64"),
    ],
)
def test_a_source_that_is_wrong_is_named_with_the_remedy(text: str, reason: str) -> None:
    with pytest.raises(InvalidSettings, match=reason) as caught:
        load(text, {"SHORT": "whsec_c2hvcnQ=", "NONE": "my-secret!"})
    assert "my-secret" not in str(caught.value)
    assert "c2hvcnQ" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidSettings) as caught:
        load("sources: {a: {}, b: {topic: t}}", {})
    assert [line.strip()[:2] for line in str(caught.value).splitlines()[1:]] == ["a:", "b:"]


def test_the_record_is_json_as_orjson_writes_it() -> None:
    assert orjson.loads(encoded(source().request(EVENT, "x")))["id"] == "ticket-4711"
