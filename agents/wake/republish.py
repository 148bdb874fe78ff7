"""Publishes the records of dead letters again, once their redrive is due. Any number may run."""

import asyncio

import structlog

from domain.errors import Permanent, Transient
from domain.feeding.letters import published, source_of
from domain.letters.model import Letter
from domain.letters.redrive import kept
from domain.metrics import Metrics
from domain.ports import Letters, Producer, Record

log = structlog.get_logger("wake")

EVERY = 1.0
BATCH = 20
"""A letter may have 2 MiB."""


class Republisher:
    """A process that dies between producing and saying so leaves its letters to the next, which produces them again:
    requests are told apart by their ids, and what is unreadable becomes the same dead letter."""

    def __init__(self, letters: Letters, producer: Producer, metrics: Metrics) -> None:
        self._letters = letters
        self._producer = producer
        self._metrics = metrics

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                busy = await self.publish_due() == BATCH
            except Transient as error:
                log.warning("dependency_away", reason=str(error), wait_s=EVERY)
                busy = False
            await asyncio.sleep(0 if busy else EVERY)

    async def publish_due(self) -> int:
        """How many were due. Raises Unavailable."""
        due = await self._letters.due(BATCH)
        if due:
            for letter, value in due:
                await self._send(letter, value)
            await self._letters.published([letter for letter, _ in due])
        return len(due)

    async def _send(self, letter: Letter, value: bytes | None) -> None:
        try:
            await self._producer.send([_record(letter, value)])
        except Permanent as error:
            # it stays a dead letter; the others are not kept waiting for it
            log.warning("letter_not_republished", letter=letter.letter, reason=str(error))
        else:
            self._metrics.count("letters_republished")


def _record(letter: Letter, value: bytes | None) -> Record:
    """As it came, but for an edited value; of a source the request that it was mapped to."""
    if value is not None and source_of(letter) is not None:
        return published(letter, value)
    found = kept(letter)
    return Record(letter.topic, found.value if value is None else value, found.key, found.headers)
