"""How many tokens a request may use at most, before anything is sent. Pure."""

import orjson

from domain.routing.catalogue import Catalogue
from topics.call import PromptCall

CHARACTERS_A_TOKEN = 4


def at_most(call: PromptCall, catalogue: Catalogue) -> int:
    """The prompt and its schema at four characters a token, and an answer at its limit."""
    asked = len(orjson.dumps(call.messages)) + (len(orjson.dumps(call.output_schema)) if call.output_schema else 0)
    outward = call.parameters.get("max_tokens") or catalogue.resolve(call.model)[0].max_output_tokens
    return asked // CHARACTERS_A_TOKEN + 1 + int(outward)
