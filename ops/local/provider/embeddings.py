"""Embeddings without a model: hashed words, word pairs and letter triples, so that similar texts are near.

Source of the method: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (2009).
"""

import array
import base64
import itertools
import math
import re
import zlib
from typing import Any

from ops.local.provider.calls import BadCall, tokens

DIMENSIONS = 256
_MOST_DIMENSIONS = 3072
_WORD = re.compile(r"\w+")


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A unit vector; the zero text gives the first axis."""
    vector = [0.0] * dimensions
    for feature, weight in _features(text.lower()):
        hashed = zlib.crc32(feature.encode())
        vector[hashed % dimensions] += weight if hashed & 0x8000_0000 else -weight
    length = math.sqrt(sum(one * one for one in vector))
    if length == 0:
        return [1.0] + [0.0] * (dimensions - 1)
    return [one / length for one in vector]


def _features(text: str) -> list[tuple[str, float]]:
    words = _WORD.findall(text)
    pairs = [(f"{first} {second}", 0.7) for first, second in itertools.pairwise(words)]
    letters = [(word[start : start + 3], 0.3) for word in words for start in range(len(word) - 2)]
    return [(word, 1.0) for word in words] + pairs + letters


def response(sent: Any) -> tuple[dict[str, Any], int]:
    """The body that answers an embeddings request, and its input tokens. Raises BadCall."""
    if not isinstance(sent, dict) or not isinstance(sent.get("model"), str):
        raise BadCall("`model` is required and must be a string.")
    asked = sent.get("input")
    texts = [asked] if isinstance(asked, str) else asked
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise BadCall("`input` must be a string or a list of at least one string.")
    dimensions = sent.get("dimensions", DIMENSIONS)
    if not isinstance(dimensions, int) or not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise BadCall(f"`dimensions` must be a whole number from 1 to {_MOST_DIMENSIONS}.")
    vectors = [embed(text, dimensions) for text in texts]
    packed = sent.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if packed else vector}
        for index, vector in enumerate(vectors)
    ]
    used = sum(tokens(text) for text in texts)
    usage = {"prompt_tokens": used, "total_tokens": used}
    return {"object": "list", "model": sent["model"], "data": data, "usage": usage}, used


def _base64(vector: list[float]) -> str:
    return base64.b64encode(array.array("f", vector).tobytes()).decode()
