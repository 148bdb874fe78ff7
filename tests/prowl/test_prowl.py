"""`make prowl` is red for what wapiti finds, and for what it did not look at."""

from tests.prowl.__main__ import wrong
from tests.prowl.planted import FAULTS
from tests.prowl.wapiti import Prowl, read

CONTROL = Prowl(8, tuple((kind, "somewhere") for kind in FAULTS))
WANTED = ("GET /a", "POST /b")
CLEAN = Prowl(3, ())


def test_a_fault_is_told_with_its_place_and_a_time_out_is_none() -> None:
    one = {"method": "GET", "path": "/a", "info": "via injection in the parameter x"}
    report = {
        "infos": {"crawled_pages_nbr": 3},
        "vulnerabilities": {"SQL Injection": [one], "Open Redirect": []},
        "anomalies": {"Resource consumption": [one], "Internal Server Error": [one]},
    }
    seen = read(report)
    assert seen.kinds == {"SQL Injection", "Internal Server Error"}
    assert wrong(seen, CONTROL, WANTED)[0] == "SQL Injection: GET /a: via injection in the parameter x"


def test_silence_alone_proves_nothing() -> None:
    assert wrong(CLEAN, CONTROL, WANTED) == []
    assert "there are 2" in wrong(Prowl(0, ()), CONTROL, WANTED)[0]
    blind = wrong(CLEAN, Prowl(8, CONTROL.found[1:]), WANTED)
    assert blind == [f"it overlooks {CONTROL.found[0][0]}: its silence says nothing"]
