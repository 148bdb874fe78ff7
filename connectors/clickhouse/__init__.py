"""ClickHouse over its HTTP protocol: the schema, the sink that fills it and the reader of usage."""
