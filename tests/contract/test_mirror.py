"""What the Kafka mirror says of the other cluster, beside what every sink does."""

import pytest

from connectors.kafka.mirror import KafkaMirror
from connectors.kafka.producer import KafkaProducer
from domain.errors import Unavailable
from tests.contract.messages import result

pytestmark = pytest.mark.integration


async def test_a_cluster_that_does_not_answer_is_named_by_the_settings_that_it_is_of() -> None:
    mirror = KafkaMirror(KafkaProducer({"bootstrap.servers": "127.0.0.1:1"}, 1.0))
    for step in (mirror.open(), mirror.write([result()])):
        with pytest.raises(Unavailable) as raised:
            await step
        assert "at KAFKA_" not in str(raised.value)
    with pytest.raises(Unavailable, match="running at STRUCTURED_PROMPT_SINK_KAFKA_BOOTSTRAP_SERVERS"):
        await mirror.open()
    await mirror.close()
