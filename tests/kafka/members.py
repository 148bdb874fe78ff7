"""Reading as a member of a group of the batch consumer."""

import asyncio
from contextlib import aclosing


async def read(consumer, count, commit=True):
    """Batches until `count` items were seen."""
    batches = []
    async with asyncio.timeout(30), aclosing(consumer.batches()) as source:
        async for batch in source:
            batches.append(batch)
            if commit:
                await consumer.commit(batch)
            if sum(map(len, batches)) >= count:
                return batches
    return batches


def numbers(batches):
    return sorted(int(item.value) for batch in batches for item in batch)
