import pytest

from ops.local.ports import FIRST, LAST, Ports
from ops.local.program import StackError


def test_a_name_keeps_its_port_in_the_next_life(tmp_path):
    first = Ports(tmp_path / "ports.json").of("kafka")
    assert Ports(tmp_path / "ports.json").of("kafka") == first
    assert FIRST <= first < LAST


def test_names_do_not_share_a_port(tmp_path):
    ports = Ports(tmp_path / "ports.json")
    assert len({ports.of(str(name)) for name in range(200)}) == 200


def test_a_remembered_port_that_is_taken_is_replaced(tmp_path):
    first = Ports(tmp_path / "ports.json").of("kafka")
    second = Ports(tmp_path / "ports.json", free=lambda port: port != first).of("kafka")
    assert second != first


def test_a_wished_port_that_is_taken_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(StackError, match="port 8000 is taken: choose another --port"):
        Ports(tmp_path / "ports.json", free=lambda port: False).asked("api", 8000, 8000)


def test_a_default_port_moves_to_the_next_free_one(tmp_path):
    ports = Ports(tmp_path / "ports.json", free=lambda port: port >= 8002)
    assert ports.asked("api", None, 8000) == 8002


def test_a_wished_port_is_remembered(tmp_path):
    Ports(tmp_path / "ports.json", free=lambda port: True).asked("api", 9000, 8000)
    assert Ports(tmp_path / "ports.json", free=lambda port: True).asked("api", None, 8000) == 9000


def test_nothing_free_is_an_error(tmp_path):
    with pytest.raises(StackError, match="no free port"):
        Ports(tmp_path / "ports.json", free=lambda port: False).of("kafka")
