"""What a client reads while it is written: on its way to the API instance that waits, in natural batches.

Nothing waits for it and nothing depends on it: what is lost comes with the result.
"""

import asyncio
from collections.abc import Callable

from domain.batching import Batcher
from domain.metrics import Metrics
from domain.ports import Chunk, Chunks
from domain.routing.model import Piece
from topics.call import PromptCall


class Speech:
    """One answer. `said` counts its characters: once there are any, no other answer may take its place.

    begun: is called at the first of it.
    """

    def __init__(self, speaker: "Speaker", instance: str, call: PromptCall) -> None:
        self._speaker = speaker
        self._instance = instance
        self._call = call
        self.said = 0
        self.begun: Callable[[], None] | None = None

    def say(self, piece: Piece) -> None:
        if self.begun is not None and not self.said:
            self.begun()
        chunk = Chunk(self._instance, self._call.tenant, self._call.id, self.said, piece)
        self._speaker.send(chunk)
        self.said += chunk.size


class Speaker:
    """Makes speeches for calls that want one."""

    def __init__(self, chunks: Chunks, metrics: Metrics) -> None:
        self._sends: Batcher[Chunk, None] = Batcher(chunks.send)
        self._metrics = metrics

    def speech(self, call: PromptCall) -> Speech | None:
        """None for a call that is not streamed, and for one with a schema: only what is valid is said of it."""
        if not call.streams or call.reply_to is None or call.output_schema is not None:
            return None
        return Speech(self, call.reply_to, call)

    def send(self, chunk: Chunk) -> None:
        self._sends.submit(chunk).add_done_callback(self._sent)

    def _sent(self, sending: "asyncio.Future[None]") -> None:
        if not sending.cancelled() and sending.exception() is not None:
            self._metrics.count("chunks_lost")
