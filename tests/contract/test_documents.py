"""Documents: in memory, over HTTP through the guard, and in stores that speak S3."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from connectors.documents.addressed import AddressedDocuments
from connectors.documents.http import HttpDocuments
from connectors.documents.s3 import S3Documents
from connectors.memory.documents import MemoryDocuments
from domain.errors import ForbiddenAddress, Permanent, Transient
from domain.outgoing.addresses import parse_networks
from domain.ports import Documents
from tests import s3

DATA = {"small.txt": ("text/plain", b"Good."), "large.bin": ("application/octet-stream", bytes(range(256)) * 12_000)}
HELD = DATA | {"with space?.txt": ("text/plain; charset=utf-8", b"there"), "empty.txt": ("text/plain", b"")}


@dataclass
class World:
    """An implementation, and how it names what it holds."""

    documents: Documents
    base: str

    async def read(self, name: str, most: int = 1 << 24) -> tuple[str, int | None, bytes, bool]:
        async with self.documents.open(self.base + name) as opened:
            data, whole = await opened.read(most)
            return opened.content_type, opened.size, data, whole


def filled(store: s3.Store) -> s3.Store:
    client = store.client()
    client.create_bucket(Bucket="docs")
    for name, (content_type, data) in HELD.items():
        client.put_object(Bucket="docs", Key=name, Body=data, ContentType=content_type)
    return store


@pytest.fixture(scope="module")
def in_moto() -> Iterator[s3.Store]:
    with s3.moto() as store:
        yield filled(store)


@pytest.fixture(scope="module")
def in_versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Store]:
    if s3.program() is None:
        pytest.skip("versitygw is not here: make tools TOOLS=versitygw builds it")
    with s3.versitygw(tmp_path_factory.mktemp("store")) as store:
        yield filled(store)


async def in_memory() -> AsyncIterator[World]:
    yield World(MemoryDocuments({f"memory:{name}": held for name, held in HELD.items()}), "memory:")


async def over_http() -> AsyncIterator[World]:
    async def handler(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in HELD:
            raise web.HTTPNotFound
        return web.Response(body=HELD[name][1], headers={"content-type": HELD[name][0]})

    async with served(handler) as url:
        documents = HttpDocuments(parse_networks("127.0.0.0/8"))
        yield World(documents, url)
        await documents.close()


@pytest.fixture(params=["memory", "http", "moto", "versitygw"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param in ("moto", "versitygw"):
        documents = S3Documents(request.getfixturevalue(f"in_{request.param}").options)
        yield World(documents, "s3://docs/")
        await documents.close()
        return
    async for found in in_memory() if request.param == "memory" else over_http():
        yield found


class served:  # noqa: N801 - reads as what it does
    """A server for one handler; the address it has."""

    def __init__(self, handler: Any) -> None:
        app = web.Application()
        app.router.add_get("/{name:.*}", handler)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


@pytest.mark.parametrize("name", sorted(set(HELD) - {"with space?.txt"}))
async def test_what_it_holds_is_read_with_its_type_and_its_size(world: World, name: str) -> None:
    content_type, data = HELD[name]
    assert await world.read(name) == (content_type, len(data), data, True)


async def test_no_more_is_read_than_was_asked_for(world: World) -> None:
    assert (await world.read("large.bin", 100_000))[2:] == (DATA["large.bin"][1][:100_000], False)
    assert (await world.read("small.txt", 5))[2:] == (b"Good.", True)
    assert (await world.read("small.txt", 4))[2:] == (b"Good", False)


async def test_several_are_open_at_once(world: World) -> None:
    found = await asyncio.gather(*[world.read("small.txt") for _ in range(20)])
    assert {data for _, _, data, _ in found} == {b"Good."}


async def test_one_that_is_not_there_is_never_there(world: World) -> None:
    with pytest.raises(Permanent):
        await world.read("none.txt")


async def test_one_that_was_opened_need_not_be_read(world: World) -> None:
    async with world.documents.open(world.base + "large.bin"):
        pass
    assert (await world.read("small.txt"))[2] == b"Good."


async def test_a_key_of_s3_is_taken_as_it_is_written(in_moto: s3.Store) -> None:
    documents = S3Documents(in_moto.options)
    assert (await World(documents, "s3://docs/").read("with space?.txt"))[2] == b"there"
    with pytest.raises(Permanent, match=r"the bucket none answered NoSuchBucket \(404\)"):
        await World(documents, "s3://none/").read("x")
    await documents.close()


async def test_a_store_that_has_a_name_is_asked_by_path(in_moto: s3.Store) -> None:
    named = s3.Store(in_moto.url.replace("127.0.0.1", "localhost"))
    documents = S3Documents(named.options)
    assert (await World(documents, "s3://docs/").read("small.txt"))[2] == b"Good."
    assert "docs" not in documents._client.meta.endpoint_url
    await documents.close()


async def test_a_wrong_secret_is_refused(tmp_path: Path) -> None:
    if s3.program() is None:
        pytest.skip("versitygw is not installed, and moto takes any secret")
    with s3.versitygw(tmp_path) as store:
        store.client().create_bucket(Bucket="docs")
        documents = S3Documents({**store.options, "aws_secret_access_key": "wrong"})
        with pytest.raises(Permanent, match=r"SignatureDoesNotMatch \(403\)"):
            await World(documents, "s3://docs/").read("small.txt")
        await documents.close()


async def test_a_store_that_is_away_is_for_later() -> None:
    documents = S3Documents(s3.Store("http://127.0.0.1:1").options)
    with pytest.raises(Transient, match="the bucket docs does not answer"):
        await World(documents, "s3://docs/").read("x")
    await documents.close()


@pytest.mark.parametrize(
    ("status", "headers", "kind", "said"),
    [
        (503, {"retry-after": "7"}, Transient, "status 503"),
        (429, {}, Transient, "status 429"),
        (500, {}, Transient, "status 500"),
        (404, {}, Permanent, "status 404"),
        (403, {}, Permanent, "status 403"),
        (302, {"location": "/secret"}, Permanent, "status 302; redirects are not followed"),
        (204, {}, Permanent, "status 204"),
        (200, {"content-encoding": "gzip"}, Permanent, "compressed"),
    ],
)
async def test_what_a_server_answers_decides_about_later_or_never(
    status: int, headers: Mapping[str, str], kind: type[Exception], said: str
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    async with served(handler) as url:
        documents = HttpDocuments(parse_networks("127.0.0.0/8"))
        with pytest.raises(kind, match=said) as caught:
            await World(documents, url).read("secret?token=secret")
        await documents.close()
    assert "secret" not in str(caught.value)
    if status == 503:
        assert getattr(caught.value, "retry_after", None) == 7.0


async def test_an_address_inside_is_not_read_unless_it_is_allowed() -> None:
    documents = AddressedDocuments()
    with pytest.raises(ForbiddenAddress):
        await World(documents, "http://127.0.0.1:8080/").read("x")
    with pytest.raises(Permanent, match="no bucket"):
        await World(documents, "s3://docs/").read("x")
    await documents.close()
