"""What the headers of OpenAI, Azure and Anthropic say of a limit."""

from datetime import UTC, datetime

import pytest

from domain.pacing.told import Gauge, Told, told

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def openai(limit: str, remaining: str, reset: str | None = None, kind: str = "requests") -> dict[str, str]:
    said = {f"x-ratelimit-limit-{kind}": limit, f"x-ratelimit-remaining-{kind}": remaining}
    return said | ({f"x-ratelimit-reset-{kind}": reset} if reset else {})


@pytest.mark.parametrize(
    ("headers", "gauge"),
    [
        # OpenAI: 10,000 a minute, one used
        (openai("10000", "9999", "6ms"), Gauge(10_000, 9_999, None)),
        (openai("10000", "9900", "600ms"), Gauge(10_000, 9_900, 10_000 / 60)),
        (openai("20", "19", "50ms"), Gauge(20, 19, 20)),
        # a fraction of a token is used: what remains is rounded down
        (openai("20", "19", "12ms"), Gauge(20, 19, 20)),
        (openai("20", "3", "822ms"), Gauge(20, 3, 20)),
        # Groq counts requests by the day
        (openai("14400", "14370", "2m59.56s"), Gauge(14_400, 14_370, 14_400 / 86_400)),
        # Azure leaves the reset out, or gives seconds
        (openai("600", "599"), Gauge(600, 599, 10)),
        (openai("600", "540", "6"), Gauge(600, 540, 10)),
    ],
)
def test_a_limit_on_requests(headers: dict[str, str], gauge: Gauge) -> None:
    found = told(headers, NOW)
    assert found is not None
    assert found.requests is not None
    assert (found.requests.limit, found.requests.remaining) == (gauge.limit, gauge.remaining)
    assert found.requests.rate == (None if gauge.rate is None else pytest.approx(gauge.rate))


def test_anthropics_limits_name_the_time_when_they_are_full_again() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "40",
        "anthropic-ratelimit-requests-reset": "2026-01-01T12:00:12Z",
        "anthropic-ratelimit-input-tokens-limit": "60000",
        "anthropic-ratelimit-input-tokens-remaining": "30000",
        "anthropic-ratelimit-input-tokens-reset": "2026-01-01T12:00:30Z",
    }
    assert told(headers, NOW) == Told(Gauge(50, 40, 50 / 60), Gauge(60_000, 30_000, 1_000))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-limit-requests": "20"},
        openai("0", "0", "1s"),
        openai("many", "few"),
        openai("inf", "nan", "soon"),
    ],
)
def test_what_names_no_limit(headers: dict[str, str]) -> None:
    assert told(headers, NOW) is None


def test_what_remains_lies_between_nothing_and_the_limit() -> None:
    found = told(openai("20", "-3", "1s"), NOW)
    assert found is not None
    assert found.requests == Gauge(20, 0, 20)
