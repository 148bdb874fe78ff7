"""The shipper's files fit together and to our log lines. Vector itself was not run: see docs/logs.md."""

import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from connectors.telemetry import logs

FILES = {
    path.stem: yaml.safe_load(path.read_text()) for path in (Path(__file__).parents[2] / "ops/logs").glob("*.yaml")
}
REQUIRED = {
    "loki": {"endpoint", "labels", "encoding"},
    "elasticsearch": {"endpoints", "mode", "data_stream", "auth"},
}
"""What Vector's reference names as needed of these sinks, as we use them."""
FEW = {"service", "level"}


def line(**fields: Any) -> dict[str, Any]:
    """What a process writes."""
    root, written = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    try:
        logs.set_up(stream=written, stage="infer")
        structlog.get_logger("infer").info("settled", **fields)
        return dict(json.loads(written.getvalue()))
    finally:
        root.handlers[:], root.level = before
        structlog.reset_defaults()


def test_every_part_reads_what_there_is() -> None:
    base = FILES["vector"]
    known = {*base["sources"], *base["transforms"]}
    parts = [*base["transforms"].values(), *(sink for name in REQUIRED for sink in FILES[name]["sinks"].values())]
    assert all(set(part["inputs"]) <= known for part in parts)


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_sink_has_what_it_needs_and_keeps_its_secrets_outside(name: str) -> None:
    (sink,) = FILES[name]["sinks"].values()
    assert sink["type"] == name
    assert REQUIRED[name] <= sink.keys()
    assert (sink["buffer"]["type"], sink["buffer"]["when_full"]) == ("disk", "block")
    assert all(re.fullmatch(r"\$\{[A-Z_]+\}", text) for text in (sink.get("auth") or {}).values() if text != "basic")


def test_what_lokis_labels_and_metadata_name_is_in_a_line() -> None:
    (sink,) = FILES["loki"]["sinks"].values()
    assert set(sink["labels"]) == FEW
    written = line(tenant="acme", request_id="r1", trace_id="0a")
    named = {re.findall(r"\w+", text)[0] for text in (sink["labels"] | sink["structured_metadata"]).values()}
    assert named - {"service"} <= written.keys()  # the container's name, which the shipper adds
    assert "at" in written


def test_the_program_reads_the_time_that_a_line_has() -> None:
    program = FILES["vector"]["transforms"]["lines"]["source"]
    assert "parse_json(.message)" in program
    assert 'parse_timestamp(.at, "%+")' in program
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line()["at"])
