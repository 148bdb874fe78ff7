"""What requests would cost, before anything is sent. Pure."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import orjson

from domain.admission.prepare import Origin, Preparer
from domain.errors import InvalidRequest
from domain.output.lint import lint
from domain.output.schema import OutputSchema
from domain.output.schema import compile as compile_schema
from domain.pricing.cost import cost
from domain.routing.model import Deployment, Tokens
from topics.call import PromptCall
from topics.codec import Read

CHARACTERS_A_TOKEN = 4


@dataclass(slots=True)
class Estimate:
    """Tokens by four characters each. At least: the prompts alone; at most: every answer at its limit."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens_at_most: int = 0
    usd_at_least: Decimal = Decimal(0)
    usd_at_most: Decimal = Decimal(0)


class Estimator:
    """Adds requests up, each on the deployment that its model stands for first, by the prices of `at`.

    warnings: what that deployment will not enforce of the schemas, each once, in the order met.
    """

    def __init__(self, preparer: Preparer, at: datetime) -> None:
        self._preparer = preparer
        self._at = at
        self._linted: set[tuple[str, str]] = set()
        self.total = Estimate()
        self.warnings: list[str] = []

    def add(self, read: Read) -> str | None:
        """Why the request would be refused, or None."""
        try:
            self.add_call(self._preparer.prepare(read.request, Origin("", self._at)))
        except InvalidRequest as error:
            return str(error)
        return None

    def add_call(self, call: PromptCall) -> None:
        """Raises InvalidRequest (unknown_model)."""
        deployment = self._preparer.catalogue.resolve(call.model)[0]
        asked = len(orjson.dumps(call.messages)) + (len(orjson.dumps(call.output_schema)) if call.output_schema else 0)
        inward = asked // CHARACTERS_A_TOKEN + 1
        outward = call.parameters.get("max_tokens") or deployment.max_output_tokens
        total = self.total
        total.requests += 1
        total.input_tokens += inward
        total.output_tokens_at_most += outward
        price = deployment.price_at(self._at)
        total.usd_at_least += cost(price, Tokens(inward, 0))
        total.usd_at_most += cost(price, Tokens(inward, outward))
        if call.output_schema is not None:
            self._lint(compile_schema(call.output_schema), deployment)

    def _lint(self, schema: OutputSchema, deployment: Deployment) -> None:
        key = (schema.digest, deployment.name)
        if key in self._linted:
            return
        self._linted.add(key)
        for one in lint(schema, deployment):
            text = f"{deployment.name}: output_schema{one.path}: {one.message}"
            if text not in self.warnings:
                self.warnings.append(text)
