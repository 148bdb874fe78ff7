"""Stands where PagerDuty, Opsgenie, Slack and a mail server would: keeps what Alertmanager sends."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Receiver:
    """`posts` are (path, headers, body) of HTTP, `mails` the texts of SMTP."""

    http_port: int = 0
    smtp_port: int = 0
    posts: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)

    def paths(self) -> set[str]:
        return {path for path, _, _ in self.posts}

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._post)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.http_port = runner.addresses[0][1]
        server = await asyncio.start_server(self._mail, "127.0.0.1", 0)
        self.smtp_port = server.sockets[0].getsockname()[1]
        self._runner, self._server = runner, server

    async def stop(self) -> None:
        self._server.close()
        await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        body = json.loads(await request.text())
        self.posts.append((request.path, dict(request.headers), body))
        return web.json_response({"status": "success", "result": "queued", "requestId": "1"}, status=202)

    async def _mail(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode().strip():
            word = line[:4].upper()
            if word == "DATA":
                writer.write(b"354 go on\r\n")
                text = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append(text.decode())
            writer.write(b"221 bye\r\n" if word == "QUIT" else b"250 fine\r\n")
            if word == "QUIT":
                break
        writer.close()
