"""Sends the plan's requests: most with a plain Kafka client, some over HTTP. Knows which of them were accepted."""

import http.client
import json
import queue
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import Producer

from tests.chaos.plan import Sent
from tests.chaos.running import ReadError

DOORS: Final = 8
REPEAT_AFTER: Final = 3.0


class Load:
    """`accepted` holds the ids that the broker acknowledged, or that an API answered with 2xx: none may be lost."""

    def __init__(self, broker: str, apis: Sequence[str], key: str) -> None:
        self.accepted: set[str] = set()
        self.refused: dict[str, str] = {}
        self._apis, self._key = apis, key
        self._posts: queue.Queue[Sent | None] = queue.Queue()
        self.sent_at: dict[str, float] = {}
        self._errors: list[str] = []
        self._stopped = threading.Event()
        self._producer = Producer({
            "bootstrap.servers": broker, "acks": "all", "enable.idempotence": True, "linger.ms": 5,
            "message.timeout.ms": 120_000, "reconnect.backoff.max.ms": 1000, "log_level": 0,
        })  # fmt: skip

    def run(self, requests: Sequence[Sent]) -> None:
        """Returns when every request was accepted, or those that were due before `stop`.

        Raises ReadError when one could not be sent at all.
        """
        posters = [threading.Thread(target=self._post_all, daemon=True) for _ in range(DOORS)]
        for poster in posters:
            poster.start()
        begun = time.monotonic()
        again = [(one.at + REPEAT_AFTER, one) for one in requests if one.repeated]
        due = sorted([*((one.at, one) for one in requests), *again], key=lambda pair: pair[0])
        for at, one in due:
            while (wait := begun + at - time.monotonic()) > 0 and not self._stopped.is_set():
                self._producer.poll(min(wait, 0.05))
            if self._stopped.is_set():
                break
            self.sent_at.setdefault(str(one.body["id"]), time.monotonic() - begun)
            if one.door == "kafka":
                self._produce(one)
            else:
                self._posts.put(one)
        for _ in posters:
            self._posts.put(None)
        left = self._producer.flush(130)
        for poster in posters:
            poster.join(130)
        if left or self._errors or any(poster.is_alive() for poster in posters):
            raise ReadError(f"the load could not be sent: {left} records left, {self._errors[:3]}")

    def stop(self) -> None:
        """Send no more."""
        self._stopped.set()

    def _produce(self, one: Sent) -> None:
        value = json.dumps(one.body).encode()
        key = f"{random.random()}"  # another partition for a repeat: another worker meets it

        def told(error: Any, _message: Any) -> None:
            if error is None:
                self.accepted.add(str(one.body["id"]))
            else:
                self._errors.append(f"{one.body['id']}: {error}")

        self._producer.produce("prompt.requests", value, key, on_delivery=told)

    def _post_all(self) -> None:
        while (one := self._posts.get()) is not None:
            try:
                self._post(one)
            except Exception as error:  # noqa: BLE001 - told by `run`
                self._errors.append(f"{one.body['id']}: {error!r}")

    def _post(self, one: Sent) -> None:
        """Until an API takes it, or says that it never will; another one is tried when one is away."""
        path = "/v1/analyze" + ("/async" if one.door == "async" else "")
        body = {name: value for name, value in one.body.items() if name != "tenant"}
        deadline = time.monotonic() + 120
        turn = one.n
        while time.monotonic() < deadline:
            turn += 1
            status, answered = self._one_post(self._apis[turn % len(self._apis)] + path, body)
            if status is not None and (status < 300 or answered):
                self.accepted.add(str(body["id"]))
                return
            if status in (400, 401, 403, 404, 413, 422):
                self.refused[str(body["id"])] = f"{status}"
                return
            time.sleep(0.5)  # away, in progress, or later
        raise TimeoutError("no API took it within 120 s")

    def _one_post(self, url: str, body: dict[str, Any]) -> tuple[int | None, bool]:
        """The status, None when nobody answered; and whether a problem carries the request's result."""
        headers = {"Authorization": f"Bearer {self._key}", "content-type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=45) as answer:
                return int(answer.status), False
        except urllib.error.HTTPError as error:
            return error.code, b'"result":{' in error.read()
        except (OSError, http.client.HTTPException):
            return None, False
