"""A short run of what `make fuzz` does at length."""

import pytest

from tests.fuzz.__main__ import fuzz


@pytest.mark.timeout(180)
def test_no_case_of_openapi_is_a_5xx_or_unlike_its_document(capfd: pytest.CaptureFixture[str]) -> None:
    assert fuzz(5, "examples,fuzzing", 1) == 0, capfd.readouterr().out[-6_000:]
