"""Settings become the configuration of both Kafka clients."""

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException

from connectors.kafka import security
from connectors.kafka.errors import PERMANENT, REMEDIES, translate
from domain.errors import InvalidSettings, Permanent, Unavailable
from domain.settings import Settings


def settings(**more):
    engines = {
        "kafka": "broker:9092",
        "database_url": "postgresql://x/x",
        "redis_url": "redis://x/0",
        "clickhouse_url": "http://x/x",
    }
    return Settings.model_validate(engines | more)


def sasl(mechanism, **more):
    return settings(
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism=mechanism,
        kafka_sasl_username="ada",
        kafka_sasl_password="secret",
        **more,
    )


def test_plain_text_needs_nothing_more():
    config = security.librdkafka(settings())
    assert config == {"bootstrap.servers": "broker:9092", "security.protocol": "plaintext"}
    assert security.tls(settings()) is None


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_takes_user_and_password(mechanism):
    config = security.librdkafka(sasl(mechanism))
    assert (config["sasl.mechanisms"], config["sasl.username"], config["sasl.password"]) == (mechanism, "ada", "secret")


def test_oauthbearer_takes_client_id_secret_and_token_url():
    config = security.librdkafka(sasl("OAUTHBEARER", kafka_sasl_token_url="https://login/token", kafka_sasl_scope="k"))
    assert config["sasl.oauthbearer.method"] == "oidc"
    assert config["sasl.oauthbearer.client.id"] == "ada"
    assert config["sasl.oauthbearer.token.endpoint.url"] == "https://login/token"


@pytest.mark.parametrize(
    "given",
    [sasl("SCRAM-SHA-256"), sasl("OAUTHBEARER", kafka_sasl_token_url="https://login/token", kafka_sasl_scope="k")],
    ids=["scram", "oauth"],
)
def test_librdkafka_takes_what_we_give_it(given):
    Consumer({**security.librdkafka(given), "group.id": "g"}).close()
    with pytest.raises(KafkaException):
        Consumer({**security.librdkafka(given), "group.id": "g", "sasl.mechanism.of.nobody": "x"})


def test_tls_is_checked_by_the_system_or_by_a_given_authority(tmp_path):
    assert security.tls(settings(kafka_security_protocol="SSL")) is not None
    with pytest.raises(InvalidSettings, match="KAFKA_SSL_CAFILE"):
        security.tls(settings(kafka_security_protocol="SSL", kafka_ssl_cafile=str(tmp_path / "none.pem")))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"kafka_security_protocol": "SASL_SSL"}, "KAFKA_SASL_MECHANISM"),
        ({"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "PLAIN"}, "KAFKA_SASL_PASSWORD"),
        ({"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER"}, "KAFKA_SASL_TOKEN_URL"),
        ({"kafka_security_protocol": "SSL", "kafka_ssl_certfile": "x"}, "KAFKA_SSL_KEYFILE"),
    ],
)
def test_what_is_missing_is_named(given, named):
    with pytest.raises(InvalidSettings, match=named):
        security.librdkafka(settings(**given))


@pytest.mark.parametrize("code", sorted(PERMANENT))
def test_these_codes_never_succeed(code):
    assert isinstance(translate(KafkaError(code), "produce to x"), Permanent)


@pytest.mark.parametrize("code", [*sorted(REMEDIES), KafkaError._FATAL, KafkaError.NOT_LEADER_FOR_PARTITION])
def test_every_other_code_may_succeed_later(code):
    error = translate(KafkaError(code), "produce to x")
    assert isinstance(error, Unavailable)
    assert "produce to x" in str(error)
