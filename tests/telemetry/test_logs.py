"""Log lines are JSON with the same fields whoever logs, and never carry a prompt, an answer or a key."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from connectors.telemetry.logs import QUIET, set_up


class Lines:
    """What was logged."""

    def __init__(self, **options: Any) -> None:
        self.stream = io.StringIO()
        set_up(stream=self.stream, stage="intake", **options)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def fail(reason: str) -> None:
    raise ValueError(reason)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, own in levels.items():
        logging.getLogger(name).setLevel(own)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_has_time_level_logger_event_and_stage() -> None:
    lines = Lines()
    structlog.get_logger("agents.intake").info("started", partition=3)
    (line,) = lines.all
    assert line.pop("at").endswith("Z")
    assert line == {"event": "started", "level": "info", "logger": "agents.intake", "stage": "intake", "partition": 3}


def test_the_standard_library_ends_in_the_same_lines() -> None:
    lines = Lines()
    logging.getLogger("faust.app").info("joined %s", "group", extra={"request_id": "order-1", "other": 1})
    (line,) = lines.all
    assert (line["event"], line["logger"], line["request_id"]) == ("joined group", "faust.app", "order-1")
    assert "other" not in line


def test_request_and_trace_id_come_from_the_context() -> None:
    lines = Lines()
    with structlog.contextvars.bound_contextvars(request_id="order-1", trace_id="ab" * 16):
        structlog.get_logger("api").warning("slow")
    assert (lines.all[0]["request_id"], lines.all[0]["trace_id"]) == ("order-1", "ab" * 16)


@pytest.mark.parametrize("format", ["json", "text"])
def test_no_customer_text_and_no_secret_reaches_a_line(format: str) -> None:
    lines = Lines(format=format)
    log = structlog.get_logger("agents")
    log.info("call", prompt="my secret prompt", messages=["m3ssage"], output={"label": "0utput"}, api_key="k3y")
    log.info("nested", request={"content": "my secret prompt", "headers": ["Authorization: Bearer abc.def-123"]})
    log.info("connecting to postgresql://app:hunter2@db:5432/x with sk-abcdefgh12345 and sp_live_Abc123Def456")
    try:
        fail("bad key sk-zzzzzzzzzzzz")
    except ValueError:
        log.exception("failed")
    for secret in ("my secret", "m3ssage", "0utput", "k3y", "abc.def", "hunter2", "abcdefgh", "Abc123Def", "zzzzzzzz"):
        assert secret not in lines.text, secret
    assert "db:5432" in lines.text


def test_an_exception_is_one_line_with_its_traceback() -> None:
    lines = Lines()
    try:
        fail("bad")
    except ValueError:
        structlog.get_logger("agents").exception("failed")
    assert "ValueError: bad" in lines.all[0]["exception"]


def test_levels_and_floors_hold() -> None:
    lines = Lines(level="INFO")
    structlog.get_logger("agents").debug("hidden")
    logging.getLogger("aiokafka.consumer").info("hidden")
    logging.getLogger("aiokafka.consumer").warning("shown")
    assert [line["event"] for line in lines.all] == ["shown"]


def test_text_for_people_has_no_json() -> None:
    lines = Lines(format="text")
    structlog.get_logger("agents").info("started", partition=3)
    assert "started" in lines.text
    assert "partition=3" in lines.text
    assert "{" not in lines.text


def test_a_vendor_that_repeats_itself_is_cut_short_and_the_rest_is_counted() -> None:
    lines, vendor = Lines(), logging.getLogger("aiokafka.client")
    for number in range(100):
        vendor.warning("cannot reach %s", f"broker {number}")
    vendor.warning("something else")
    assert [line["event"] for line in lines.all] == [*(f"cannot reach broker {n}" for n in range(5)), "something else"]
    later = vendor.makeRecord("aiokafka.client", logging.WARNING, "f", 1, "cannot reach %s", ("broker",), None)
    later.created += 11
    vendor.handle(later)
    assert (lines.all[-1]["event"], lines.all[-1]["left_out"]) == ("cannot reach broker", 95)


def test_our_own_lines_are_never_left_out() -> None:
    lines = Lines()
    for _ in range(50):
        structlog.get_logger("stage").warning("dependency_away")
    assert len(lines.all) == 50
