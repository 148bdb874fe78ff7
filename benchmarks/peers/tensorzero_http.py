"""TensorZero's gateway as its wheel ships it, in an environment of its own: `tensorzero_http.py CONFIG URL_FILE`."""

import sys
import time

import tensorzero

gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
with open(sys.argv[2], "w") as file:
    file.write(gateway.base_url)
print(gateway.base_url, flush=True)
while True:
    time.sleep(3600)
