"""`/docs`, which shows the OpenAPI document, and `/postman.json`, the same for Postman."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

PAGES = (
    ("/docs", "docs.html", "text/html"),
    ("/docs/start.js", "start.js", "text/javascript"),
    ("/docs/page.css", "page.css", "text/css"),
)


def serve(app: FastAPI) -> None:
    """`/docs`, with its assets from here: the page works where there is no internet."""
    # the package of fastapi_offline carries Swagger UI; its own application class is not needed
    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_offline", "static")]), name="assets")

    for path, name, kind in PAGES:
        app.add_api_route(path, _page(name, kind), include_in_schema=False)

    @app.get("/postman.json", include_in_schema=False)
    async def postman(request: Request) -> JSONResponse:
        from api.postman import collection

        return JSONResponse(collection(app.openapi(), str(request.base_url).rstrip("/")))


def _page(name: str, kind: str) -> Callable[[], Awaitable[Response]]:
    content = files("api").joinpath("pages", name).read_bytes()

    async def page() -> Response:
        return Response(content, media_type=kind)

    return page
