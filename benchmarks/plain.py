"""What one would write without us: aiokafka, LiteLLM, a semaphore, a commit a batch.

`python -m benchmarks.plain KAFKA REQUESTS RESULTS PROVIDER`. Nothing is deduplicated, limited,
checked, settled or billed.
"""

import asyncio
import json
import os
import sys
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

AT_ONCE = 500


async def serve(kafka: str, requests: str, results: str, provider: str) -> None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # importing waits for the network otherwise
    import litellm

    consumer = AIOKafkaConsumer(
        requests, bootstrap_servers=kafka, group_id="plain", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=5)
    await consumer.start()
    await producer.start()
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(message: Any) -> None:
        request = json.loads(message.value)
        wanted = {"name": "answer", "strict": True, "schema": request["output_schema"]}
        async with slots:
            reply = await litellm.acompletion(
                model="openai/gpt-4o-mini",
                api_base=provider,
                api_key="x",
                messages=[{"role": "user", "content": request["prompt"]}],
                response_format={"type": "json_schema", "json_schema": wanted},
                num_retries=0,
                max_retries=0,
            )
        result = {"id": request["id"], "output": json.loads(reply.choices[0].message.content)}
        await (await producer.send(results, key=message.key, value=json.dumps(result).encode()))

    print("plain ready", flush=True)
    while True:
        batches = await consumer.getmany(timeout_ms=200, max_records=AT_ONCE)
        messages = [message for batch in batches.values() for message in batch]
        if messages:
            await asyncio.gather(*(one(message) for message in messages))
            await consumer.commit()


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:5]))
