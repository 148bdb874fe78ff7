"""Which types of a column make less of a value without a word."""

import pytest

from connectors.clickhouse.drift import loses


@pytest.mark.parametrize(
    ("filled", "kept", "lossy"),
    [
        ("String", "LowCardinality(String)", False),
        ("String", "FixedString(3)", False),  # refuses what is longer
        ("String", "UInt32", False),  # refuses what is no number
        ("UInt64", "UInt32", True),
        ("UInt64", "Int64", True),
        ("UInt32", "Int64", False),
        ("Int64", "UInt64", True),
        ("UInt32", "Nullable(UInt64)", False),
        ("UInt32", "Float64", False),
        ("UInt64", "Float64", True),
        ("UInt64", "Decimal(38, 18)", False),
        ("Decimal(18, 9)", "Decimal(18, 9)", False),
        ("Decimal(18, 9)", "Decimal(18, 8)", True),
        ("Decimal(18, 9)", "Decimal(15, 9)", True),
        ("Decimal(18, 9)", "Nullable(Decimal(38, 18))", False),
        ("Decimal(18, 9)", "Float64", True),
        ("Decimal(18, 9)", "UInt64", True),
        ("Float64", "Float32", True),
        ("DateTime64(3, 'UTC')", "DateTime64(6)", False),
        ("DateTime64(3, 'UTC')", "DateTime64(0, 'UTC')", True),
        ("DateTime64(3, 'UTC')", "DateTime('Etc/GMT+3')", True),
        ("DateTime64(3, 'UTC')", "Date32", True),
        ("Map(String, String)", "Map(LowCardinality(String), String)", False),
        ("Bool", "UInt8", False),
    ],
)
def test_only_what_takes_less_is_lossy(filled: str, kept: str, lossy: bool) -> None:
    assert loses(filled, kept) is lossy
