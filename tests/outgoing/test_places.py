"""Where documents may be read from."""

import pytest

from domain.outgoing.places import Places, bucket_and_key

PLACES = Places.parse(
    "https://docs.example.com/public/, https://*.acme.example/, http://files:9000/{tenant}/, s3://shared, s3://own/of/{tenant}/"
)


@pytest.mark.parametrize(
    "url",
    [
        "https://docs.example.com/public/a.pdf",
        "HTTPS://Docs.Example.com:443/public/deep/a.pdf?version=2#page",
        "https://cdn.acme.example/x",
        "https://a.b.acme.example/x/",
        "http://files:9000/acme/x",
        "s3://shared/any/key with space.txt",
        "S3://shared/k",
        "s3://own/of/acme/x",
    ],
)
def test_what_is_in_a_place_is_read(url: str) -> None:
    assert PLACES.hold(url, "acme")


@pytest.mark.parametrize(
    "url",
    [
        "http://docs.example.com/public/a.pdf",
        "https://docs.example.com:8443/public/a.pdf",
        "https://docs.example.com/private/a.pdf",
        "https://docs.example.com/public/../private/a.pdf",
        "https://docs.example.com/public/%2e%2E/private/a.pdf",
        "https://docs.example.com/public/..%2fprivate/a.pdf",
        "https://docs.example.com/public//private",
        "https://docs.example.com/publicly/a.pdf",
        "https://docs.example.com.evil.example/public/a.pdf",
        "https://docs.example.com@evil.example/public/a.pdf",
        "https://evil.example/docs.example.com/public/a.pdf",
        "https://acme.example/x",
        "https://evilacme.example/x",
        "http://files:9000/other/x",
        "http://files:9000/{tenant}/x",
        "s3://shared",
        "s3://shared/",
        "s3://shared2/x",
        "s3://own/of/other/x",
        "s3://own/of/acme/../other/x",
        "s3://Shared/x",
        "gs://shared/x",
        "file:///etc/passwd",
    ],
)
def test_what_is_in_none_is_not(url: str) -> None:
    assert not PLACES.hold(url, "acme")


def test_without_places_nothing_is_read() -> None:
    assert not Places().hold("https://docs.example.com/a", "acme")


@pytest.mark.parametrize(
    "text",
    [
        "docs.example.com",
        "ftp://a.example/",
        "https://a.example/?x",
        "https://*/",
        "s3://*.b/",
        "s3://B/",
        "https://a/../",
    ],
)
def test_a_place_that_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no place: write"):
        Places.parse(f"https://good.example/,{text}")


def test_a_key_is_taken_as_it_is_written() -> None:
    assert bucket_and_key("s3://bucket/a%20b?c#d ä") == ("bucket", "a%20b?c#d ä")
    assert bucket_and_key("s3://bucket/") == ("bucket", "")
    assert bucket_and_key("https://bucket/x") is None
