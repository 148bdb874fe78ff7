"""Safe by default: no variable of the caller points an embedded process anywhere, or spends money."""

import asyncio
import subprocess
from base64 import b64encode

import pytest

from domain.settings import Settings
from ops.local.environment import clean, is_setting, missing, read_env, write_env
from ops.local.program import StackError
from ops.local.stack import Stack, Wishes

DANGEROUS = {
    "KAFKA_BOOTSTRAP_SERVERS": "prod:9092",
    "KAFKA_SASL_PASSWORD": "x",
    "DATABASE_URL": "postgresql://prod/db",
    "DATABASE_URL_FILE": "/run/secret",
    "REDIS_URL": "redis://prod",
    "CLICKHOUSE_URL": "http://prod",
    "OPENAI_API_KEY": "sk-1",
    "ANTHROPIC_API_KEY_FILE": "/run/key",
    "OPENAI_BASE_URL": "https://prod",
    "AWS_SECRET_ACCESS_KEY": "x",
    "STRUCTURED_PROMPT_MODELS": "/etc/models.yaml",
    "STRUCTURED_PROMPT_TOPIC_PREFIX": "prod.",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://prod",
    "HTTPS_PROXY": "http://prod",
    "PGHOST": "prod",
}
HARMLESS = {"PATH": "/bin", "HOME": "/root", "LC_ALL": "C", "TZ": "UTC"}


def test_only_harmless_variables_pass():
    assert clean(DANGEROUS | HARMLESS) == HARMLESS


@pytest.mark.parametrize("name", [field.alias for field in Settings.model_fields.values()])
def test_no_setting_of_ours_passes(name):
    assert clean({name: "x"}) == {}
    assert is_setting(name)


@pytest.mark.parametrize(
    ("family", "passes"),
    [
        ("kafka", {"KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SASL_PASSWORD"}),
        ("postgres", {"DATABASE_URL", "DATABASE_URL_FILE"}),
        ("redis", {"REDIS_URL"}),
        ("clickhouse", {"CLICKHOUSE_URL"}),
        (
            "providers",
            {
                "OPENAI_API_KEY",
                "ANTHROPIC_API_KEY_FILE",
                "OPENAI_BASE_URL",
                "AWS_SECRET_ACCESS_KEY",
                "STRUCTURED_PROMPT_MODELS",
                "HTTPS_PROXY",
            },
        ),
    ],
)
def test_use_env_lets_its_family_pass_and_no_other(family, passes):
    assert clean(DANGEROUS, [family]).keys() == passes


def test_use_env_names_what_it_lacks():
    assert missing({"DATABASE_URL_FILE": "/run/secret"}, ["postgres", "redis", "providers"]) == ["REDIS_URL"]


def test_a_shell_reads_the_env_file_as_it_was_written(tmp_path):
    values = {"A": 'it\'s $HOME `x` "y"', "B": "1"}
    write_env(tmp_path, values)
    shell = subprocess.run(
        ["sh", "-c", f'. {tmp_path}/env; printf %s "$A"'], capture_output=True, text=True, check=True
    )
    assert shell.stdout == values["A"]
    assert read_env(tmp_path) == values
    assert (tmp_path / "env").stat().st_mode & 0o077 == 0


def wishes(tmp_path, **more):
    return Wishes(tmp_path / "data", tmp_path / "cache", DANGEROUS | HARMLESS, **more)


def programs(stack):
    return {program.name: program for group in stack.groups() for program in group.programs}


def test_the_embedded_stack_speaks_to_nobody_of_the_callers_environment(tmp_path):
    stack = Stack(wishes(tmp_path))
    for program in programs(stack).values():
        assert not set(program.environment.values()) & set(DANGEROUS.values()), program.name
    assert programs(stack)["worker-infer-1"].environment["STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL"].endswith("/v1")


def test_an_external_engine_is_not_started_and_its_address_is_passed_on(tmp_path):
    stack = Stack(wishes(tmp_path, use_env=("postgres", "kafka")))
    assert [engine.name for engine in stack.groups()[0].engines] == ["redis", "clickhouse"]
    environment = programs(stack)["api-1"].environment
    assert environment["DATABASE_URL"] == "postgresql://prod/db"
    assert environment["REDIS_URL"].startswith("redis://:")
    assert "STRUCTURED_PROMPT_REPLICATION_FACTOR" not in environment


def test_real_providers_replace_the_simulated_one(tmp_path):
    stack = Stack(wishes(tmp_path, use_env=("providers",)))
    assert "provider" not in programs(stack)
    environment = programs(stack)["worker-infer-1"].environment
    assert environment["OPENAI_API_KEY"] == "sk-1"
    assert "STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL" not in environment


def test_every_stage_has_its_replicas(tmp_path):
    names = list(programs(Stack(wishes(tmp_path, workers=2))))
    assert names == [
        "provider",
        "api-1",
        "worker-intake-1",
        "worker-intake-2",
        "worker-infer-1",
        "worker-infer-2",
        "worker-wake-1",
        "worker-wake-2",
        "sink-clickhouse",
        "sink-destinations",
    ]


SOURCES = """
sources:
  tickets: {topic: crm.tickets, request: {tenant: demo}, map: {prompt: text}}
  forms: {webhook: {secret_env: FORMS_SECRET}, request: {tenant: demo}, map: {prompt: text}}
"""


def test_a_file_of_sources_is_read_by_a_process_of_its_own_with_the_secrets_it_names(tmp_path):
    file, secret = tmp_path / "sources.yaml", "whsec_" + b64encode(b"s" * 32).decode()
    file.write_text(SOURCES)
    stack = Stack(Wishes(tmp_path / "data", tmp_path, {**HARMLESS, "FORMS_SECRET": secret}, sources=file))
    for name in ("sources", "api-1"):
        environment = programs(stack)[name].environment
        assert (environment["STRUCTURED_PROMPT_SOURCES"], environment["FORMS_SECRET"]) == (str(file), secret)
    with pytest.raises(StackError, match="FORMS_SECRET"):
        Stack(wishes(tmp_path, sources=file))
    # for those made over HTTP, and for what the file will say
    file.write_text("sources: {}")
    assert "sources" in programs(Stack(wishes(tmp_path, sources=file)))
    assert "sources" not in programs(Stack(wishes(tmp_path)))


async def test_up_does_not_wait_for_a_source_whose_topic_can_only_be_made_once_the_broker_is_up(tmp_path):
    file = tmp_path / "sources.yaml"
    file.write_text("sources: {}")
    program = programs(Stack(wishes(tmp_path, sources=file)))["sources"]

    async def waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        alive = b"/healthz" in await reader.readline()
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" if alive else b"HTTP/1.0 503 Service Unavailable\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(waiting, "127.0.0.1", program.metrics_port):
        assert await program.ready()


def test_exports_are_made_by_a_process_of_its_own_where_their_bucket_is_named(tmp_path):
    bucket = {f"STRUCTURED_PROMPT_EXPORT_S3_{name}": name.lower() for name in ("BUCKET", "REGION")}
    caller = {**HARMLESS, **bucket}
    stack = Stack(Wishes(tmp_path, tmp_path, caller, exports=True))
    for name in ("sink-exports", "api-1"):
        assert bucket.items() <= programs(stack)[name].environment.items()
    assert programs(stack)["sink-exports"].command[-2:] == ("sink", "exports")
    unasked = programs(Stack(Wishes(tmp_path, tmp_path, caller)))
    assert "sink-exports" not in unasked
    assert bucket.keys().isdisjoint(unasked["api-1"].environment)
    with pytest.raises(StackError, match="--exports asks for STRUCTURED_PROMPT_EXPORT_S3_BUCKET"):
        Stack(Wishes(tmp_path, tmp_path, HARMLESS, exports=True))


def test_use_env_without_its_variable_is_refused(tmp_path):
    with pytest.raises(StackError, match="--use-env asks for REDIS_URL"):
        Stack(Wishes(tmp_path, tmp_path, HARMLESS, use_env=("redis",)))


def test_the_simulated_provider_is_one_of_the_providers():
    given = {"STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL": "http://provider:9500/v1"}
    assert clean(given, ["providers"]) == given
    assert clean(given, ["kafka", "postgres", "redis", "clickhouse"]) == {}
