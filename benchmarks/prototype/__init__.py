"""The least a durable line can be, as a yardstick for ours: every durable step, none of the features.

Two Faust workers. intake claims batches in PostgreSQL, charges a GCRA limit in Redis and hands on; infer takes requests
under a fenced lease, calls the provider, checks the answer against its schema, settles with the attempt in one
transaction, produces to three topics and acknowledges in order. Not in it, and so what our line may cost more for:
validation of requests, attempts recorded before the call, waiting rows, caches, headers, usage with prices, metrics,
health, per-delivery acknowledgements (rule S2), run-ahead caps (rule S3), draining.
"""
