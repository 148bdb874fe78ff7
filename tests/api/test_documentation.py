"""The documentation page works where there is no internet."""

from tests.api.door import Door


async def test_the_page_and_its_assets_come_from_here(door: Door) -> None:
    page = await door.client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text.replace("https://json-schema.org", "")
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"/docs/assets/{asset}" in page.text
        assert (await door.client.get(f"/docs/assets/{asset}")).status_code == 200
