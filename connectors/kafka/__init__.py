"""Apache Kafka through librdkafka: producer, batch consumer, topics, security."""
