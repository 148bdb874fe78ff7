"""Locust's side: the clients of a scenario. `python -m tests.load` runs it; `locust -f tests/load/users.py` can too.

A client does as the documentation says: at 429 and 503 it waits for `Retry-After` and repeats the request with its id,
with `rerun` where a limit has rejected it.
It fails when an answer is not the right one, when it had to repeat too often, or when what was accepted does not end.
"""

import json
import os
import random
import time
from collections.abc import Callable
from typing import Any

from gevent import sleep
from locust import FastHttpUser, LoadTestShape, constant_pacing, events
from locust.env import Environment

from tests.load.bodies import batch, poisons, request
from tests.load.scenarios import SCENARIOS, Scenario

PATIENCE_S = 120.0
"""Until a request is taken, and then until it has ended: longer than an engine is away while it starts again."""
POLL_S, LONGEST_POLL_S = 0.1, 2.0
AGAIN = (429, 503)
LOOKS = ("/v1/jobs?limit=10", "/v1/usage", "/v1/queues", "/v1/limits", "/v1/models", "/v1/budgets", "/v1/dead-letters")


class Wrong(Exception):
    """An answer that is not the right one."""


class Client(FastHttpUser):
    """One of many."""

    wait_time = constant_pacing(1)
    network_timeout = connection_timeout = 60.0

    def ask(self) -> None:
        """POST /v1/analyze, and its answer."""
        body = request()
        answer = self.post("/v1/analyze", body, (200, 202))
        if answer["status"] == "accepted":
            self.follow([body["id"]], "a synchronous one's job")

    def submit(self) -> None:
        """POST /v1/analyze/async, and the end of its job."""
        body = request()
        self.post("/v1/analyze/async", body, (202,))
        self.follow([body["id"]], "a job")

    def batch(self) -> None:
        """Many at once that can wait, and the end of all."""
        bodies = batch()
        for body in bodies:
            self.post("/v1/analyze/async", body, (202,))
        self.follow([body["id"] for body in bodies], "a batch")

    def stream(self) -> None:
        """POST /v1/analyze as server-sent events: the last one is the result."""
        body = {key: value for key, value in request().items() if key != "output_schema"}
        headers = {**KEY, "accept": "text/event-stream"}
        text = self.until_taken(
            lambda: self.client.post(
                "/v1/analyze", json=body, headers=headers, catch_response=True, name="/v1/analyze (stream)"
            ),
            (200,),
            body,
        )
        if "event: result\n" not in text:
            self.follow([body["id"]], "a stream's job")

    def repeat(self) -> None:
        """The same request twice is answered once."""
        body = request()
        first, second = (self.post("/v1/analyze", body, (200, 202), "/v1/analyze (repeat)") for _ in range(2))
        with self.measured("a repeat is the same answer"):
            if first["status"] == "completed" and first != second:
                raise Wrong(f"{body['id']} was answered in two ways")

    def poison(self) -> None:
        """What must be refused, and is."""
        bad = random.choice(poisons())
        headers = {**KEY, "content-type": "application/json", **bad.headers}
        with self.client.post(
            "/v1/analyze/async", data=bad.body, headers=headers, catch_response=True, name=f"poison: {bad.name}"
        ) as answer:
            if answer.status_code in bad.statuses:
                answer.success()
            else:
                answer.failure(f"{answer.status_code}, not {bad.statuses}")

    def look(self) -> None:
        """What a dashboard would ask."""
        path = random.choice(LOOKS)
        self.get(path, path.partition("?")[0])

    def post(self, path: str, body: dict[str, Any], expected: tuple[int, ...], name: str = "") -> dict[str, Any]:
        asked = dict(body)
        text = self.until_taken(
            lambda: self.client.post(path, json=asked, headers=KEY, catch_response=True, name=name or path),
            expected,
            asked,
        )
        return dict(json.loads(text))

    def get(self, path: str, name: str) -> dict[str, Any]:
        text = self.until_taken(lambda: self.client.get(path, headers=KEY, catch_response=True, name=name), (200,))
        return dict(json.loads(text))

    def until_taken(
        self, send: Callable[[], Any], expected: tuple[int, ...], asked: dict[str, Any] | None = None
    ) -> str:
        """The answer's body. Raises Wrong: it is counted, and the task ends. `asked` is what is sent."""
        ends_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_at:
            with send() as answer:
                text = str(answer.text or "")
                if answer.status_code in expected:
                    return text
                if answer.status_code not in AGAIN:
                    answer.failure(f"{answer.status_code}: {text[:200]}")
                    raise Wrong
                answer.success()
                self.count(f"told {answer.status_code}, repeated")
                if asked is not None and '"result":' in text:
                    asked["rerun"] = True
                pause = float(answer.headers.get("retry-after", 1))
            sleep(pause)
        with self.measured("taken in the end"):
            raise Wrong(f"not taken for {PATIENCE_S:.0f} s")
        raise Wrong

    def follow(self, ids: list[str], name: str) -> None:
        """Until all are completed."""
        with self.measured(f"{name}, until its end"):
            ends_at, pause, left = time.monotonic() + PATIENCE_S, POLL_S, list(ids)
            while left := [id for id in left if not self.is_completed(id)]:
                if time.monotonic() > ends_at:
                    raise Wrong(f"{len(left)} of {len(ids)} are not completed after {PATIENCE_S:.0f} s")
                sleep(pause)
                pause = min(pause * 1.5, LONGEST_POLL_S)

    def is_completed(self, id: str) -> bool:
        job = self.get(f"/v1/jobs/{id}", "/v1/jobs/{id}")
        if job["status"] in ("failed", "rejected", "cancelled"):
            raise Wrong(f"a job ended as {job['status']}: {job['error']}")
        return bool(job["status"] == "completed")

    def count(self, name: str) -> None:
        self.environment.events.request.fire(
            request_type="again", name=name, response_time=0, response_length=0, exception=None, context={}
        )

    def measured(self, name: str) -> "Measured":
        return Measured(self.environment, name)

    def run_task(self) -> None:
        """One of the scenario's, by its weight."""
        mix = scenario(self.environment).mix
        (name,) = random.choices(list(mix), list(mix.values()))
        try:
            getattr(self, name)()
        except Wrong:
            return  # counted where it was found out

    tasks = [run_task]


class Measured:
    """A row of its own in Locust's statistics: how long the block took, and whether it was Wrong."""

    def __init__(self, environment: Environment, name: str) -> None:
        self._environment = environment
        self._name = name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> bool:
        if error is not None and (not isinstance(error, Wrong) or not error.args):
            return False
        self._environment.events.request.fire(
            request_type="whole", name=self._name, response_time=(time.perf_counter() - self._began) * 1000,
            response_length=0, exception=error, context={},
        )  # fmt: skip
        return error is not None


class Shape(LoadTestShape):
    """How many clients there are: the scenario's stages, over --clients and --seconds."""

    def tick(self) -> tuple[int, float] | None:
        options = self.runner.environment.parsed_options
        clients = scenario(self.runner.environment).clients_at(self.get_run_time() / options.seconds, options.clients)
        return None if clients is None else (clients, float(options.clients))


def scenario(environment: Environment) -> Scenario:
    return SCENARIOS[environment.parsed_options.scenario]


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="steady")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60)


KEY = {"authorization": f"Bearer {os.environ.get('LOAD_KEY', '')}"}
