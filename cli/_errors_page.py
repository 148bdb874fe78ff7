"""docs/errors.md, from the codes of api/problems.py and topics/result.py and the words of api/errors.yaml."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, get_args

import yaml

from api.problems import TITLES, type_uri
from topics.result import RETRYABLE_CODES, ErrorCode

WAITS = frozenset({"too_slow", "not_finished", "in_progress", "rate_limited", "unavailable"})
"""Of the door: the same request later is another matter."""
HEAD = """\
# Errors

Generated from `api/problems.py`, `topics/result.py` and `api/errors.yaml` by `make docs`; do not edit.

Every code there is: what it means, and what to do. On Kafka it is `error.code` of a result (or `code` of a dead
letter); over HTTP it is `code` of a problem (RFC 9457, `application/problem+json`) beside `type`, `title`, `status`,
`detail`, `errors` (a JSON pointer and a message each) and `request_id`, which finds it in the logs. On the synchronous
route a problem also carries the `result`.

`status` says what it cost: a **rejected** request never reached a provider, a **failed** one did, or may have. "Again"
says whether the same request may succeed later: for a result that is `error.retryable`, over HTTP wait for
`Retry-After`.

## Of a request
| code | status | HTTP | again | it means | what to do |
| --- | --- | --- | --- | --- | --- |
"""
BETWEEN = """
To try again with the same id, send the same body with `"rerun": true`; without it a repeat of a failed or rejected
request gets the same result again.

`invalid_output`, `provider_error`, `provider_timeout`, `unknown_outcome` and `internal` leave a dead letter as well.

## Of the HTTP API alone
| code | HTTP | again | it means | what to do |
| --- | --- | --- | --- | --- |
"""
TYPES = """
## Types of problems
`type` of a problem never changes for a code; `title` is for people.

| code | `type` | `title` |
| --- | --- | --- |
"""
DEAD = """
## Of a dead letter alone
| code | it means | what to do |
| --- | --- | --- |
"""
TAIL = """
[Dead letters](dead-letters.md) tells how they are listed, shown and redriven.

## Of the command line
Exit codes: 0 done, 1 the work failed, 2 wrong usage or settings. Messages are on standard error and name the cause and
the remedy; with `--json`, standard output is only JSON.
"""


def page() -> str:
    """The whole page. Raises KeyError for a code without words."""
    said = yaml.safe_load(files("api").joinpath("errors.yaml").read_text(encoding="utf-8"))
    titles = [f"| `{code}` | `{type_uri(code)}` | {title} |" for code, (_, title) in sorted(TITLES.items())]
    dead = [f"| `{code}` | {one['means']} | {one['remedy']} |" for code, one in said["dead_letter"].items()]
    tables = ((HEAD, _of_requests(said)), (BETWEEN, _of_the_door(said)), (TYPES, titles), (DEAD, dead))
    return "\n".join([*(head + "\n".join(rows) for head, rows in tables), TAIL])


def _of_requests(said: Mapping[str, Any]) -> Iterator[str]:
    for code in sorted(get_args(ErrorCode), key=list(said["request"]).index):
        words = said["request"][code]
        again = "yes" if code in RETRYABLE_CODES else "no"
        yield f"| `{code}` | {words['when']} | {TITLES[code][0]} | {again} | {words['means']} | {words['remedy']} |"


def _of_the_door(said: Mapping[str, Any]) -> Iterator[str]:
    codes = [code for code in TITLES if code not in get_args(ErrorCode)]
    for code in [*codes, *(code for code in said["door"] if code not in codes)]:
        words = said["door"][code]
        again = "yes" if code in WAITS else "no"
        yield f"| `{code}` | {TITLES[code][0]} | {again} | {words['means']} | {words['remedy']} |"
