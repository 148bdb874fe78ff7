"""`make smoke URL=… KEY=…`: is this deployment well? Exits 1 and says what is not.

1. What stands in front: TLS, HTTP/2, redirect, headers, compression.
2. Every route of the OpenAPI document that it serves, each asked once: use the key of a tenant of its own.
3. One request by HTTP and one by Kafka, followed to their rows in ClickHouse; KAFKA_BOOTSTRAP_SERVERS and
   CLICKHOUSE_URL say where they are (the environment, or the file --env). From elsewhere say --outside.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from ops.local.environment import read_file
from ops.smoke import edge, following
from ops.smoke.routes import Asked, Round, described


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked. `engines` is None when they cannot be reached from here."""

    url: str
    key: str
    authority: str | None
    http_port: int | None
    engines: Mapping[str, str] | None


def main() -> int:
    target = asked()
    limits = httpx.Limits(max_connections=4)
    headers = {"authorization": f"Bearer {target.key}"}
    trusted = edge.trusting(target.authority)
    with httpx.Client(
        base_url=target.url, headers=headers, verify=trusted, http2=True, limits=limits, timeout=30
    ) as client:
        try:
            problems = [*_front(client, target), *_routes(client, target), *_rows(client, target)]
        except httpx.TransportError as error:
            problems = [f"{target.url} cannot be reached: {error}"]
    for problem in problems:
        print(f"FAILED {problem}", file=sys.stderr)
    print("smoke: " + (f"{len(problems)} things are wrong" if problems else "all is well"))
    return 1 if problems else 0


def asked() -> Target:
    parser = argparse.ArgumentParser(prog="make smoke", description=__doc__)
    parser.add_argument("--url", required=True, help="https://staging.example.com")
    parser.add_argument("--key", required=True, help="an API key, of a tenant that is there for this")
    parser.add_argument("--ca", help="a file of certificates to trust, where those of this machine do not do")
    parser.add_argument("--http-port", type=int, help="where the redirect is, when not on port 80")
    parser.add_argument("--env", type=Path, help="a file of KEY=value or `export KEY='value'` lines")
    parser.add_argument("--outside", action="store_true", help="leave out Kafka and ClickHouse")
    options = parser.parse_args()
    environment = {**os.environ, **(read_file(options.env) if options.env else {})}
    engines = None if options.outside else environment
    for name in () if options.outside else ("KAFKA_BOOTSTRAP_SERVERS", "CLICKHOUSE_URL"):
        if not environment.get(name):
            parser.error(f"{name} is not set: set it, name a file with --env, or leave the engines out by --outside")
    return Target(options.url.rstrip("/"), options.key, options.ca, options.http_port, engines)


def _front(client: httpx.Client, target: Target) -> list[str]:
    if not target.url.startswith("https://"):
        print("front: not looked at, this is no https:// address")
        return []
    problems = edge.problems(client, target.url, target.http_port)
    print(f"front: {'TLS, HTTP/2, redirect, headers, compression' if not problems else 'not as it should be'}")
    return problems


def _routes(client: httpx.Client, target: Target) -> list[str]:
    document = client.get("/openapi.json").raise_for_status().json()
    inside = edge.INSIDE if target.url.startswith("https://") else frozenset()
    done = Round(client, inside).run(document)
    missing = described(document) - {(one.operation.verb, one.operation.path) for one in done}
    problems = [f"{_named(one)}: {one.problem}" for one in done if one.problem]
    print(f"routes: {len(done)} asked, {sum(one.status < 300 for one in done)} of them did what was asked")
    return [*problems, *(f"{verb} {path} was not asked" for verb, path in sorted(missing))]


def _rows(client: httpx.Client, target: Target) -> list[str]:
    try:
        tenant, first = following.by_http(client)
        if target.engines is None:
            print("rows: HTTP answers; Kafka and ClickHouse were not asked (--outside)")
            return []
        second = following.by_kafka(target.engines["KAFKA_BOOTSTRAP_SERVERS"], tenant)
        for way, id in (("HTTP", first), ("Kafka", second)):
            status, cost = following.to_the_rows(target.engines["CLICKHOUSE_URL"], tenant, id)
            print(f"rows: {id} by {way} is in ClickHouse: {status}, {cost} USD")
    except following.Unfollowed as error:
        return [str(error)]
    return []


def _named(one: Asked) -> str:
    return f"{one.operation.verb.upper()} {one.path}"


if __name__ == "__main__":
    sys.exit(main())
