"""`python -m ops.local.provider --host 127.0.0.1 --port N`: serves until SIGTERM or SIGINT."""

import argparse
import asyncio
import signal
import sys

from ops.local.provider.server import Provider


async def _run(host: str, port: int) -> int:
    provider = Provider()
    try:
        listening = await provider.serve(host, port)
    except OSError as error:
        print(
            f"The simulated provider cannot listen on {host}:{port}: {error.strerror}. Choose another --port.",
            file=sys.stderr,
        )
        return 1
    print(f"simulated provider ready http://{host}:{listening}/v1", flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await provider.close()
    return 0


def main() -> int:
    """Reads the command line and serves; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.provider", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    arguments = parser.parse_args()
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return asyncio.run(_run(arguments.host, arguments.port))
    return uvloop.run(_run(arguments.host, arguments.port))


if __name__ == "__main__":
    sys.exit(main())
