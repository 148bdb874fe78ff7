"""The kills of the API at full length, on a stack that `python -m tests.chaos.stack --data DIR` runs."""

import argparse
import asyncio
from pathlib import Path

from tests.chaos.proxy import Faults
from tests.door import test_door
from tests.door.conftest import Door
from tests.e2e.conftest import Product

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--kills", type=int, default=20)
parser.add_argument("--a-second", type=int, default=200)
arguments = parser.parse_args()
test_door.KILLS, test_door.A_SECOND = arguments.kills, arguments.a_second
product = Product(arguments.data)
door = Door(product, Faults(int(product.env["FAULTS_PORT"])), product.env["API_URLS"].split(","))
asyncio.run(test_door.test_D1_every_202_is_answered_however_often_an_api_is_killed(door))
