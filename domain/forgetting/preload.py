"""Answers that somebody brings along, as the cache keeps them. Pure."""

from datetime import datetime
from typing import Any

import orjson

from domain.caching.entry import lifetime, remembered
from domain.errors import InvalidRequest, Problem
from domain.ledger.model import State
from domain.ledger.results import Ending
from domain.output.schema import compile as compile_schema
from topics.call import PromptCall

PROVIDER = "preloaded"
"""The provider of results with such an answer."""


def entry(call: PromptCall, output: Any, operator_ttl_s: int, now: datetime) -> tuple[str, bytes, int]:
    """Key, value and seconds of a prepared call whose answer is known.

    Raises InvalidRequest where its answer may not be kept, or is not valid.
    """
    ttl = lifetime(operator_ttl_s, call.cache_ttl_s)
    if call.cache_key is None or ttl == 0:
        raise _refusal("/cache", "the answer to this request is not kept: its cache or its time to live says so")
    if call.output_schema is None and not isinstance(output, str):
        raise _refusal("/output", "is no text, and the request names no schema")
    if call.output_schema is not None:
        checked = compile_schema(call.output_schema).check(orjson.dumps(output).decode())
        if checked.problems:
            problems = [Problem(f"/output{problem.path}", problem.message) for problem in checked.problems]
            raise InvalidRequest("invalid_request", f"the output breaks its schema: {problems[0].message}", problems)
    ending = Ending(State.COMPLETED, output, provider=PROVIDER, model=call.model)
    return call.cache_key, remembered(ending, now.timestamp(), ttl, 0.0, "0"), ttl


def _refusal(path: str, reason: str) -> InvalidRequest:
    return InvalidRequest("invalid_request", reason, [Problem(path, reason)])
