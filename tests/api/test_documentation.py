"""The documentation page works where there is no internet."""

import json
import re

from tests.api.door import Door


async def test_the_page_and_its_assets_come_from_here(door: Door) -> None:
    page = await door.client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text.replace("https://json-schema.org", "")
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
        assert f"/docs/assets/{asset}" in page.text
        assert (await door.client.get(f"/docs/assets/{asset}")).status_code == 200


async def test_the_page_has_no_column_for_links_that_no_answer_has(door: Door) -> None:
    """It made the page wider than a telephone once an answer was shown."""
    page = await door.client.get("/docs")
    [sheet] = [href for href in re.findall(r'href="(/docs/[\w.]+css)"', page.text) if "assets" not in href]
    style = await door.client.get(sheet)
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert ".response-col_links { display: none; }" in style.text
    described = (await door.client.get("/openapi.json")).json()
    answers = [
        one for verbs in described["paths"].values() for verb in verbs.values() for one in verb["responses"].values()
    ]
    assert [one for one in answers if "links" in one] == []


async def test_no_example_looks_like_a_crash_of_ours_to_a_scanner(door: Door) -> None:
    """ZAP takes this phrase for an error that was disclosed (risk: medium), wherever it stands."""
    for path in ("/openapi.json", "/asyncapi.json", "/postman.json", "/docs"):
        assert "internal server error" not in (await door.client.get(path)).text.lower()


async def test_the_postman_collection_has_every_route_with_its_examples(door: Door) -> None:
    described = (await door.client.get("/openapi.json")).json()
    routes = {
        f"{verb.upper()} {path}" for path, verbs in described["paths"].items() for verb in verbs if verb != "parameters"
    }
    found = (await door.client.get("/postman.json")).json()
    requests = [item["request"] for folder in found["item"] for item in folder["item"]]
    told = {f"{one['method']} /{'/'.join(one['url']['path'])}" for one in requests}
    assert {re.sub(r"\{(\w+)\}", r":\1", route) for route in routes} == told
    (analyze,) = [one for one in requests if one["url"]["raw"] == "{{base_url}}/v1/analyze"]
    assert json.loads(analyze["body"]["raw"])["prompt"]
    assert found["info"]["schema"].endswith("/v2.1.0/collection.json")
