"""A stack in small, in the foreground: `fake_stack.py DIR [--fail]` supervises one fake process."""

import asyncio
import sys
from pathlib import Path

from ops.local import probes
from ops.local.instance import Instance
from ops.local.ports import Ports
from ops.local.program import Group, Program, StackError
from ops.local.supervisor import serve


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


data = Path(sys.argv[1])
instance = Instance(data)
try:
    instance.open()
    port = Ports(data / "ports.json").of("web")
    arguments = sys.argv[2:] or [str(port)]
    command = (sys.executable, str(Path(__file__).with_name("fake_process.py")), *arguments)
    program = Program("worker-infer-1", command, {}, probes.http(port, "/readyz"), metrics_port=port)
    instance.state.external = ["redis"]
    asyncio.run(serve(instance, [Group(programs=(program,))], say, lambda: None))
except StackError as error:
    sys.exit(f"error: {error}")
