"""librdkafka's error codes in the two words of domain/errors.py; the table is tested, no message text is read."""

from confluent_kafka import KafkaError

from domain.errors import Permanent, StructuredPromptError, Unavailable

PERMANENT = {
    KafkaError.MSG_SIZE_TOO_LARGE: "it is larger than the topic takes",
    KafkaError.RECORD_LIST_TOO_LARGE: "it is larger than a segment of the topic",
    KafkaError.INVALID_RECORD: "the broker finds the record invalid",
    KafkaError.POLICY_VIOLATION: "a policy of the broker forbids it",
    KafkaError._INVALID_ARG: "the client finds the record invalid",
}
MISSING_TOPIC = "the topic does not exist; run `structured-prompt topics apply`, or create it where it is none of ours"
REMEDIES = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: MISSING_TOPIC,
    KafkaError._UNKNOWN_TOPIC: MISSING_TOPIC,
    KafkaError._UNKNOWN_PARTITION: "the topic has fewer partitions than before; run `structured-prompt topics apply`",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "this user may not do that; grant it on the topic",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "this user may not do that; grant IdempotentWrite on the cluster",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "this user may not do that; grant Read on the consumer group",
    KafkaError._AUTHENTICATION: "the broker refuses the credentials; see KAFKA_SASL_* and KAFKA_SSL_*",
    KafkaError.SASL_AUTHENTICATION_FAILED: "the broker refuses the credentials; see KAFKA_SASL_*",
    KafkaError._SSL: "TLS failed; see KAFKA_SSL_*",
    KafkaError.INVALID_REPLICATION_FACTOR: "there are fewer brokers; see STRUCTURED_PROMPT_REPLICATION_FACTOR",
    KafkaError.NOT_ENOUGH_REPLICAS: "too few replicas are in sync; bring brokers back",
    KafkaError._MSG_TIMED_OUT: "no broker acknowledged it in time; is Kafka running?",
    KafkaError._TRANSPORT: "no broker answers; is Kafka running at KAFKA_BOOTSTRAP_SERVERS?",
    KafkaError._ALL_BROKERS_DOWN: "no broker answers; is Kafka running at KAFKA_BOOTSTRAP_SERVERS?",
    KafkaError._RESOLVE: "the host in KAFKA_BOOTSTRAP_SERVERS has no address",
    KafkaError._TIMED_OUT: "no broker answered in time; is Kafka running at KAFKA_BOOTSTRAP_SERVERS?",
}


def translate(error: KafkaError, doing: str) -> StructuredPromptError:
    """`doing` says what was tried, to what: `produce to prompt.results`."""
    code = error.code()
    if code in PERMANENT:
        return Permanent(f"Kafka cannot {doing}: {PERMANENT[code]} ({error.name()})")
    return Unavailable(f"Kafka cannot {doing}: {REMEDIES.get(code, error.str())} ({error.name()})")
