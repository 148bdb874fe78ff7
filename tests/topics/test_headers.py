"""Headers derive from the row, so that a record produced twice is the same bytes."""

import pytest

from benchmarks.codec import result
from topics import headers
from topics.codec import encode

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_stored_result_has_the_headers_it_had_the_first_time():
    first = headers.RESULT.headers(headers.run_id("acme", "order-981", 1), "2026-01-01T00:00:00.000Z", PARENT)
    assert headers.result_headers(encode(result()), PARENT) == first


def test_headers_are_cloud_events_in_binary_mode():
    built = dict(headers.USAGE.headers(headers.attempt_id("acme", "a", 1, 2), "2026-01-01T00:00:00.000Z", PARENT))
    assert built == {
        "ce_specversion": b"1.0",
        "ce_type": b"structured-prompt.usage.v1",
        "ce_source": b"/structured-prompt",
        "ce_id": b"acme/a/1/2",
        "ce_time": b"2026-01-01T00:00:00.000Z",
        "content-type": b"application/json",
        "traceparent": PARENT.encode(),
    }


def test_S7_a_call_names_its_run_its_epoch_and_the_oldest_reader():
    built = dict(headers.call_headers("acme/a/3", 3, 7, "2026-01-01T00:00:00.000Z", min_reader=2))
    assert (headers.run_of(built), headers.epoch_of(built), headers.min_reader_of(built)) == (3, 7, 2)
    assert (headers.run_of({}), headers.epoch_of({}), headers.min_reader_of({})) == (1, None, 1)


def test_other_headers_are_carried_to_the_result_whatever_their_bytes():
    given = [("x-order", b"\xff\x00"), ("CE_ID", b"1"), ("traceparent", b""), ("sp-run", b"9"), ("empty", None)]
    carried = headers.carried([*given, ("Content-Type", b"x")])
    assert headers.restored(carried) == [("x-order", b"\xff\x00"), ("empty", b"")]


def test_too_many_headers_are_refused():
    with pytest.raises(ValueError, match="65536"):
        headers.carried([("x", b"y" * 70_000)])


def test_a_traceparent_is_read():
    context = headers.parse_traceparent(PARENT.encode())
    assert context is not None
    assert str(context) == PARENT
    assert headers.parse_traceparent(PARENT.replace("00-", "cc-", 1) + "-new") is not None


@pytest.mark.parametrize(
    "value",
    [None, 7, "", "hello", b"\xff", PARENT + "-x", PARENT.replace("00-", "ff-", 1), PARENT.upper(),
     "00-" + "0" * 32 + "-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01"],
)  # fmt: skip
def test_what_is_no_traceparent_is_ignored(value):
    assert headers.parse_traceparent(value) is None


def test_a_header_of_ours_that_is_not_text_is_ignored():
    assert headers.text_of({"sp-reply-to": b"\xff"}, "sp-reply-to") is None
    assert headers.text_of({"sp-reply-to": b"api-1"}, "sp-reply-to") == "api-1"
