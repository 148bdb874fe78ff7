"""The gateways as their pages say to run them, each behind OpenAI's route, all in front of the same provider."""

import json
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from benchmarks.engines import free_port
from benchmarks.peers.installing import portkey_server, python_of
from benchmarks.processes import Process, run
from ops.local.environment import read_env

RETRIES = 5
TENANT = "probes"
PER_MINUTE, BURST = 100_000, 10_000
MODEL = "gpt-4o-mini"
PRICE = (0.15e-6, 0.6e-6)
"""US dollars a token of MODEL, in and out, as LiteLLM's own list has it."""


class Gateway(ABC):
    """Ready inside its context. `chat` is the URL to post to; `extra` goes into every body."""

    name = ""
    model = MODEL
    budgets = False
    chat: str
    headers: dict[str, str]

    def __init__(self, provider: str, budget_usd: float | None = None) -> None:
        """`provider` ends in /v1; `budget_usd` is for all calls together, where the gateway has budgets."""
        self.provider = provider
        self.budget_usd = budget_usd
        self.headers = {}
        self._stack = ExitStack()
        self.place = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="peer-")))

    @classmethod
    def install(cls) -> None:
        """What it needs. Raises Failed."""
        return

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    @abstractmethod
    def start(self) -> None:
        """Raises Failed."""

    def serve(self, command: list[str], ready: str, environment: dict[str, str] | None = None) -> Process:
        process = Process(self.name, command[1:], environment, interpreter=command[:1])
        self._stack.callback(process.stop)
        process.wait_http(ready, 120)
        return process

    def response_format(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The fields of a body that ask for an answer of this schema."""
        asked = {"name": "answer", "strict": True, "schema": schema}
        return {"response_format": {"type": "json_schema", "json_schema": asked}}


class LiteLLM(Gateway):
    name = "LiteLLM"
    budgets = True

    @classmethod
    def install(cls) -> None:
        python_of("litellm")

    def start(self) -> None:
        port = free_port()
        self.chat = f"http://127.0.0.1:{port}/v1/chat/completions"
        self.headers = {"authorization": "Bearer sk-local"}
        target = {"model": f"openai/{MODEL}", "api_base": self.provider, "api_key": "sk-x"}
        config: dict[str, Any] = {
            "model_list": [{"model_name": MODEL, "litellm_params": target}],
            "router_settings": {"num_retries": RETRIES},
            "litellm_settings": {"enable_json_schema_validation": True},
        }
        if self.budget_usd is not None:
            limit = {"openai": {"budget_limit": self.budget_usd, "time_period": "1d"}}
            config["router_settings"]["provider_budget_config"] = limit
        file = self.place / "litellm.yaml"
        file.write_text(json.dumps(config))  # JSON is YAML
        litellm = str(python_of("litellm").with_name("litellm"))
        words = ["--config", str(file), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        own = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": "sk-local", "LITELLM_LOG": "ERROR",
            "DISABLE_ADMIN_UI": "True",
        }  # fmt: skip
        self.serve([litellm, *words, "--telemetry", "False"], f"http://127.0.0.1:{port}/health/liveliness", own)


class Portkey(Gateway):
    name = "Portkey"

    @classmethod
    def install(cls) -> None:
        portkey_server()

    def start(self) -> None:
        port = free_port()
        self.chat = f"http://127.0.0.1:{port}/v1/chat/completions"
        config = {
            "provider": "openai", "custom_host": self.provider, "api_key": "sk-x", "retry": {"attempts": RETRIES},
        }  # fmt: skip
        self.headers = {"x-portkey-config": json.dumps(config)}
        self.serve(["node", str(portkey_server()), f"--port={port}", "--headless"], f"http://127.0.0.1:{port}/")


class TensorZero(Gateway):
    name = "TensorZero"
    model = "tensorzero::function_name::answer"

    @classmethod
    def install(cls) -> None:
        python_of("tensorzero")

    def start(self) -> None:
        (self.place / "schema.json").write_text('{"type": "object"}')
        file = self.place / "tensorzero.toml"
        file.write_text(TENSORZERO.format(model=MODEL, provider=self.provider, retries=RETRIES))
        told = self.place / "url"
        script = Path(__file__).with_name("tensorzero_http.py")
        python = [str(python_of("tensorzero"))]
        process = Process(self.name, [str(script), str(file), str(told)], interpreter=python)
        self._stack.callback(process.stop)
        process.wait_line("http://")
        self.chat = f"http://127.0.0.1:{urlsplit(told.read_text()).port}/openai/v1/chat/completions"


TENSORZERO = """\
[gateway]
observability.enabled = false
[models."{model}"]
routing = ["simulated"]
[models."{model}".providers.simulated]
type = "openai"
model_name = "{model}"
api_base = "{provider}"
api_key_location = "none"
[functions.answer]
type = "json"
output_schema = "schema.json"
[functions.answer.variants.one]
type = "chat_completion"
model = "{model}"
json_mode = "strict"
retries = {{ num_retries = {retries}, max_delay_s = 10 }}
"""


class Ours(Gateway):
    """The embedded stack with three workers of each stage, and OpenAI's route of its API."""

    name = "Structured Prompt"
    model = "simulated/small"
    budgets = True

    def start(self) -> None:
        self._cli("up", "--detach", "--workers", "3")
        self._stack.callback(self._cli, "down")
        env = read_env(self.place)
        self.chat = f"{env['API_URL']}/openai/v1/chat/completions"
        self.provider = env["PROVIDER_URL"]
        # a tenant whose own limit is not what is asked about
        self._cli("tenants", "create", TENANT, "--requests-per-minute", str(PER_MINUTE), "--burst", str(BURST))
        key = json.loads(self._cli("keys", "create", "--tenant", TENANT, "--json"))["key"]
        self.headers = {"authorization": f"Bearer {key}"}
        self._begin()
        if self.budget_usd is not None:
            limit = f"{self.budget_usd:.9f}"
            self._cli("budgets", "create", "probe", "--tenant", TENANT, "--limit", limit, "--per", "day")

    def _begin(self) -> None:
        """Limits begin without a burst on a Redis that was empty (rule D2): from a first request on it fills."""
        body = json.dumps({"model": self.model, "messages": [{"role": "user", "content": "Is anybody there?"}]})
        head = {**self.headers, "content-type": "application/json"}
        asked = Request(self.chat, body.encode(), head)  # noqa: S310  # the stack that was just started
        with urlopen(asked, timeout=60) as answer:  # noqa: S310
            answer.read()
        time.sleep(BURST / (PER_MINUTE / 60) + 1)

    def _cli(self, *words: str) -> str:
        return run(["cli.main", *words, "--data", str(self.place)], {})


GATEWAYS: dict[str, type[Gateway]] = {"ours": Ours, "litellm": LiteLLM, "portkey": Portkey, "tensorzero": TensorZero}
