"""The cost of an attempt is exact."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.pricing.cost import NANO, cost
from domain.routing.model import Price, Tokens

SMALL = Price("test", Decimal("0.15"), Decimal("0.60"), cached_input=Decimal("0.075"))
counts = st.integers(0, 10_000_000)
dollars = st.decimals("0", "500", places=4)
prices = st.builds(
    Price,
    version=st.just("test"),
    input=dollars,
    output=dollars,
    cached_input=st.none() | dollars,
    reasoning=st.none() | dollars,
    cache_write=st.none() | dollars,
)
tokens = st.builds(Tokens, input=counts, output=counts, cached_input=counts, reasoning=counts, cache_write=counts)


def test_the_example_of_a_small_model() -> None:
    assert cost(SMALL, Tokens(input=31, output=8)) == Decimal("0.00000945")


def test_cached_input_is_discounted() -> None:
    assert cost(SMALL, Tokens(input=1_000_000, cached_input=400_000)) == Decimal("0.09") + Decimal("0.03")


def test_writing_the_providers_cache_and_reasoning_have_their_own_price() -> None:
    price = Price("test", Decimal(3), Decimal(15), Decimal("0.3"), reasoning=Decimal(20), cache_write=Decimal("3.75"))
    counted = Tokens(input=1_000_000, output=1_000_000, cached_input=500_000, reasoning=250_000, cache_write=250_000)
    assert cost(price, counted) == Decimal("0.75") + Decimal("0.15") + Decimal("0.9375") + Decimal("11.25") + Decimal(5)


def test_nothing_used_costs_nothing() -> None:
    assert cost(SMALL, Tokens()) == 0


@given(prices, tokens)
def test_a_cost_is_never_negative_and_has_nine_decimals(price: Price, used: Tokens) -> None:
    amount = cost(price, used)
    assert amount >= 0
    assert amount.as_tuple().exponent == NANO.as_tuple().exponent


@given(prices, counts, counts)
def test_without_parts_a_cost_is_the_plain_product(price: Price, read: int, written: int) -> None:
    exact = (read * price.input + written * price.output) / Decimal(1_000_000)
    assert abs(cost(price, Tokens(read, written)) - exact) <= NANO / 2


@given(prices, counts)
def test_a_part_larger_than_its_sum_is_taken_as_the_sum(price: Price, read: int) -> None:
    assert cost(price, Tokens(read, 0, cached_input=read + 5)) == cost(price, Tokens(read, 0, cached_input=read))


@given(counts, counts, counts)
def test_more_tokens_never_cost_less(read: int, written: int, more: int) -> None:
    assert cost(SMALL, Tokens(read + more, written)) >= cost(SMALL, Tokens(read, written))
