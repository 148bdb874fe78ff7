"""The environment of the children: nothing of the caller's shell but what a process needs to run at all.

Safe by default (contracts.md): no shell variable may point an embedded process at somebody's database or spend money.
So this is a list of what passes, not of what is removed; `--use-env` adds families by name.
"""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

PASSES = frozenset(
    (
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "VIRTUAL_ENV",
        "SYSTEMROOT",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "XDG_CACHE_HOME",
    )
)
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "kafka": ("KAFKA_",),
    "postgres": ("DATABASE_URL", "DATABASE_READ_URL", "STRUCTURED_PROMPT_KEY_PEPPER"),
    "redis": ("REDIS_URL",),
    "clickhouse": ("CLICKHOUSE_URL",),
    "exports": ("STRUCTURED_PROMPT_EXPORT_",),
    "providers": (
        "STRUCTURED_PROMPT_MODELS",
        "STRUCTURED_PROMPT_LITELLM",
        "STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "AWS_",
        "GOOGLE_",
        "VERTEXAI_",
        "AZURE_",
    ),
}
PROVIDER_ENDINGS = ("_API_KEY", "_API_BASE", "_BASE_URL", "_API_KEY_FILE", "_API_VERSION")
NEEDED: Mapping[str, str] = {
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "postgres": "DATABASE_URL",
    "redis": "REDIS_URL",
    "clickhouse": "CLICKHOUSE_URL",
    "exports": "STRUCTURED_PROMPT_EXPORT_S3_BUCKET",
}


def clean(caller: Mapping[str, str], use_env: Iterable[str] = ()) -> dict[str, str]:
    """What the children get of the caller's environment."""
    families = frozenset(use_env)
    return {name: value for name, value in caller.items() if _passes(name, families)}


def missing(caller: Mapping[str, str], use_env: Iterable[str]) -> list[str]:
    """Variables that `use_env` asks for and the caller's environment lacks."""
    wanted = [NEEDED[family] for family in use_env if family in NEEDED]
    return [name for name in wanted if not caller.get(name) and not caller.get(f"{name}_FILE")]


def is_setting(name: str) -> bool:
    """Whether the variable could point one of our processes somewhere, or pay for something."""
    prefixes = (
        "STRUCTURED_PROMPT_",
        "OTEL_",
        "SENTRY_",
        *(prefix for family in FAMILIES.values() for prefix in family),
    )
    return name not in PASSES and (name.startswith(prefixes) or name.endswith(PROVIDER_ENDINGS))


def _passes(name: str, families: frozenset[str]) -> bool:
    if name in PASSES or name.startswith("LC_"):
        return True
    if any(name.startswith(FAMILIES[family]) for family in families):
        return True
    return "providers" in families and name.endswith(PROVIDER_ENDINGS)


def write_env(data: Path, values: Mapping[str, str]) -> None:
    """`DIR/env`: `export NAME='value'` lines for a shell to source, for its owner only, since they hold passwords."""
    path = data / "env"
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={_shell(value)}\n" for name, value in values.items()))


def read_env(data: Path) -> dict[str, str]:
    """The values of `DIR/env`. Raises FileNotFoundError before the stack was ready once."""
    return read_file(data / "env")


def read_file(path: Path) -> dict[str, str]:
    """The values of a file of NAME=value lines, with `export` or without."""
    words = shlex.split(path.read_text(), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)


def _shell(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"  # always quoted, unlike shlex.quote
