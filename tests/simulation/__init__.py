"""A deterministic simulation of the line: the product's own stages over its in-memory twins, on a clock of ours.

One seed is one schedule, and one schedule is one interleaving: from the first record published, through every fault
that was planned, until nothing is left to do. `python -m tests.simulation --seed 1 --count 1000` runs a thousand.

What is real: intake, infer, wake, the stage, its lines, the lease keeper, the emitter, the ledger's rules, the broker.
What is ours: the event loop of each worker process (a FIFO queue, as asyncio's), time, the order in which statements,
produces and fetches take effect and are answered, the consumer groups, and the provider.
Worker processes meet only where such an operation takes effect, so a process runs until it waits, and the seed chooses
which operation takes effect next: every order of effects is reachable, and none is counted twice for being reached by
another order of what nobody else can see.
"""
