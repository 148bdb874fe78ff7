"""Which URLs and addresses may be called, as text."""

from ipaddress import ip_address

import pytest

from domain.errors import ForbiddenAddress, InvalidSettings
from domain.outgoing.addresses import NEVER, PRIVATE, objection, parse_networks
from domain.outgoing.urls import check
from domain.settings import load

PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "64:ff9b::808:808")


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_may_be_called(address: str) -> None:
    assert objection(ip_address(address)) is None


@pytest.mark.parametrize(
    ("network", "reason"),
    [(one, reason) for table in (NEVER, PRIVATE) for reason, list in table.items() for one in list],
)
def test_the_first_and_the_last_address_of_every_special_network_are_refused(network: str, reason: str) -> None:
    (parsed,) = parse_networks(network)
    for address in (parsed[0], parsed[-1]):
        assert objection(address) is not None, reason


@pytest.mark.parametrize("inner", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1"])
@pytest.mark.parametrize("form", ["::ffff:{}", "64:ff9b::{}"])
def test_an_address_inside_another_is_judged_as_what_it_is(inner: str, form: str) -> None:
    assert objection(ip_address(form.format(inner))) == objection(ip_address(inner)) is not None


@pytest.mark.parametrize("address", ["::7f00:1", "64:ff9b:1::7f00:1", "100::1", "fec0::1", "4000::1", "2001:0:1::1"])
def test_what_is_not_global_unicast_is_refused(address: str) -> None:
    assert objection(ip_address(address)) is not None


def test_an_allowed_network_is_allowed_and_nothing_beside_it() -> None:
    allow = parse_networks("10.1.0.0/16, fd12::/16, 127.0.0.2")
    assert [objection(ip_address(one), allow) for one in ("10.1.2.3", "fd12::1", "127.0.0.2", "::ffff:10.1.2.3")] == [
        None
    ] * 4
    assert objection(ip_address("10.2.0.1"), allow) == "private"
    assert objection(ip_address("127.0.0.1"), allow) == "loopback"


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "fd00:ec2::254", "::"]
)
def test_no_allow_list_opens_what_no_receiver_is_behind(address: str) -> None:
    assert objection(ip_address(address), parse_networks("0.0.0.0/0,::/0")) is not None


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"'10\.0\.0\.1/8' is no network"):
        parse_networks("10.0.0.0/8,10.0.0.1/8")


@pytest.mark.parametrize(
    ("url", "place", "path", "query"),
    [
        ("https://hooks.example.com/a/b?c=d&e", "https://hooks.example.com:443", "/a/b", "c=d&e"),
        ("HTTP://Hooks.Example.COM.:8080", "http://hooks.example.com:8080", "/", ""),
        ("https://xn--bcher-kva.example/%C3%BC/../x#part", "https://xn--bcher-kva.example:443", "/%C3%BC/../x", ""),
        ("https://[2606:4700:4700::1111]:8443/", "https://[2606:4700:4700::1111]:8443", "/", ""),
        ("https://hooks.example.com/to?u=https://a@b", "https://hooks.example.com:443", "/to", "u=https://a@b"),
    ],
)
def test_a_good_url_is_taken_apart(url: str, place: str, path: str, query: str) -> None:
    target = check(url)
    assert (target.place, target.path, target.query) == (place, path, query)


def test_names_of_a_private_network_are_for_who_allows_one() -> None:
    with pytest.raises(ForbiddenAddress, match="private network"):
        check("http://receiver:8080/hook")
    assert check("http://receiver:8080/hook", parse_networks("10.0.0.0/8")).host == "receiver"


def test_a_message_holds_no_path_and_no_query() -> None:
    with pytest.raises(ForbiddenAddress) as caught:
        check("https://10.0.0.1/secret?token=secret")
    assert "secret" not in str(caught.value)


def test_the_operator_names_networks_in_the_settings() -> None:
    needed = {
        "DATABASE_URL": "postgresql://h/d",
        "KAFKA_BOOTSTRAP_SERVERS": "h:1",
        "REDIS_URL": "redis://h",
        "CLICKHOUSE_URL": "http://h",
    }
    settings = load({**needed, "STRUCTURED_PROMPT_WEBHOOK_ALLOW": "10.0.0.0/8, ::1"}, str)
    assert settings.webhook_networks == parse_networks("10.0.0.0/8,::1")
    with pytest.raises(InvalidSettings, match="STRUCTURED_PROMPT_WEBHOOK_ALLOW: '10' is no network"):
        load({**needed, "STRUCTURED_PROMPT_WEBHOOK_ALLOW": "10"}, str)
