"""Events whose schemas are in a registry that speaks Confluent's protocol: Avro and Protobuf."""
