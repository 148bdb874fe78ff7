"""Texts as vectors by a model in this process (sbert.net). Optional: the extra `embeddings`, with PyTorch behind it.

It is imported at the first text, which takes seconds and gigabytes, and never by a worker that embeds nothing.
"""

import asyncio
import importlib.util
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from domain.caching.semantic import Embedded
from domain.errors import MissingExtra, ModelError
from domain.routing.model import Deployment


class LocalEmbedder:
    """Implements domain.ports.Embedder. Raises MissingExtra where sentence-transformers is not installed.

    The model's name is that of Hugging Face, or a directory. It works in a thread of its own, one batch after another;
    nobody waits longer than timeout_s for it, so that the first ones, while it is loaded, go without.
    """

    def __init__(self, deployment: Deployment, timeout_s: float) -> None:
        if importlib.util.find_spec("sentence_transformers") is None:
            raise MissingExtra(f"the embedding model {deployment.name}", "embeddings")
        self.deployment = deployment
        self._timeout = timeout_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embeddings")
        self._model: Any = None

    async def embed(self, texts: Sequence[str]) -> list[Embedded]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                vectors = await loop.run_in_executor(self._thread, self._encode, list(texts))
        except TimeoutError as error:
            reason = f"the embedding model {self.deployment.name} did not answer within {self._timeout:g} s"
            raise ModelError(reason, outcome="timeout", sent=True, retryable=True) from error
        except (OSError, RuntimeError, ValueError, ImportError) as error:
            reason = f"the embedding model {self.deployment.name} does not work: {error}"
            raise ModelError(reason, outcome="error", sent=False, retryable=False) from error
        return [Embedded(vector, (len(text) + 3) // 4) for vector, text in zip(vectors, texts, strict=True)]

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _encode(self, texts: list[str]) -> list[list[float]]:
        if self._model is None:
            from sentence_transformers import SentenceTransformer

            self._model = SentenceTransformer(self.deployment.model)
        found: list[list[float]] = self._model.encode(texts, normalize_embeddings=True).tolist()
        return found
