"""What the log says of those who were refused."""

from structlog.testing import capture_logs

from api.refusing import REQUEST_ID
from api.shield.peers import CLIENT
from api.shield.refusals import LINES_A_MINUTE, Refusals
from domain.accounts import keys
from domain.incoming.client import Client
from tests.shield.test_addresses import client, limited


async def test_a_guessed_key_leaves_a_line_with_its_address_and_nothing_of_the_key() -> None:
    wrong = keys.generate()
    async with limited().opened() as door, client(door, "198.51.100.7") as one:
        with capture_logs() as lines:
            assert (await one.get("/v1/models", headers=door.bearer())).status_code == 200
            for _ in range(3):
                headers = {"authorization": f"Bearer {wrong}", "x-request-id": "seen-by-both"}
                assert (await one.get("/v1/models?secret=me", headers=headers)).status_code == 401
    (line,) = [line for line in lines if line["event"] == "refused"]
    assert line == {
        "event": "refused", "log_level": "warning", "address": "198.51.100.7", "status": 401, "method": "GET",
        "route": "unknown", "request_id": "seen-by-both", "untold": 0,
    }  # fmt: skip


def note(refusals: Refusals, address: str, status: int = 401) -> None:
    scope = {CLIENT: Client(address, True), REQUEST_ID: "r", "method": "GET"}
    refusals.note(scope, status, "unknown")


def test_a_line_a_minute_of_each_address_and_status_tells_how_many_had_none() -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    with capture_logs() as lines:
        for _ in range(100):
            note(refusals, "198.51.100.7")
        note(refusals, "198.51.100.7", 413)
        now = 61.0
        note(refusals, "198.51.100.7")
    assert [(line["status"], line["untold"]) for line in lines] == [(401, 0), (413, 99), (401, 0)]


def test_a_flood_from_everywhere_is_no_flood_of_lines() -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    with capture_logs() as lines:
        for number in range(5_000):
            note(refusals, f"2001:db8::{number:x}")
        assert len(lines) == LINES_A_MINUTE
        now = 2.0
        note(refusals, "198.51.100.7")
    assert lines[-1]["untold"] == 5_000 - LINES_A_MINUTE
