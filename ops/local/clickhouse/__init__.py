"""chDB (the ClickHouse engine in a wheel) behind ClickHouse's HTTP protocol, for a laptop and for tests."""
