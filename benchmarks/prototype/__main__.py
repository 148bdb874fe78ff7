"""One worker of the prototype: `python -m benchmarks.prototype intake|infer --kafka H:P --database URL …`."""

import argparse
import asyncio

import uvloop

from benchmarks.prototype import infer, intake
from benchmarks.prototype.app import serve
from benchmarks.prototype.outside import Outside


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prototype", description=__doc__)
    parser.add_argument("stage", choices=("intake", "infer"))
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--provider", required=True, help="ends in /v1")
    parser.add_argument("--slots", type=int, default=2000)
    arguments = parser.parse_args()
    outside = Outside(arguments.kafka, arguments.database, arguments.redis, arguments.provider)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    if arguments.stage == "intake":
        serve("intake", arguments.kafka, intake.READS, lambda line: intake.run(line, outside), arguments.slots)
    else:
        serve("infer", arguments.kafka, infer.READS, lambda line: infer.run(line, outside), arguments.slots)


if __name__ == "__main__":
    main()
