"""Limits per minute and per run, and the price table."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from gspmc_mm.gsp.client import Budget, LimitReachedError, LLMConfigError, Price, PriceTable
from gspmc_mm.gsp.client.limits import SlidingWindow, estimate_tokens


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_no_minute_holds_more_than_the_limit() -> None:
    clock, random_numbers = Clock(), random.Random(0)
    amounts = [random_numbers.randint(1, 30) for _ in range(200)]
    spent: list[tuple[float, int]] = []

    async def run() -> None:
        window = SlidingWindow(100, clock, clock.sleep)
        for amount in amounts:
            await window.acquire(amount)
            spent.append((clock.now, amount))
            clock.now += random_numbers.random()

    asyncio.run(run())
    for start, _ in spent:  # the slow way: every window that begins with a call
        assert sum(a for t, a in spent if start <= t < start + 60) <= 100
    assert clock.now < 60 * (sum(amounts) / 100 + 1) * 1.5, "and it does not wait for nothing"


def test_an_amount_above_the_limit_waits_for_an_empty_window_and_passes() -> None:
    clock = Clock()

    async def run() -> None:
        window = SlidingWindow(10, clock, clock.sleep)
        await window.acquire(4)
        await window.acquire(50)
        assert clock.now == pytest.approx(60)
        await window.acquire(1)
        assert clock.now == pytest.approx(120)

    asyncio.run(run())


def test_no_limit_never_waits() -> None:
    asyncio.run(SlidingWindow(None).acquire(1e9))


def test_admission_waits_for_what_is_in_flight() -> None:
    price = Price(input=1_000_000, output=0, as_of="2026-01-01")  # one a token
    order: list[str] = []

    async def call(budget: Budget, name: str, used: int) -> None:
        async with budget.admit(10, 0, retries=0):
            order.append(name)
            await asyncio.sleep(0.01)
            budget.spent.calls += 1
            budget.spent.cost += used

    async def run() -> Budget:
        budget = Budget(max_cost=15, price=price)
        # while the first may take 10, the second does not fit; it turns out to take 2
        await asyncio.gather(call(budget, "first", 2), call(budget, "second", 10))
        with pytest.raises(LimitReachedError, match="max-cost"):
            await call(budget, "third", 10)
        return budget

    budget = asyncio.run(run())
    assert order == ["first", "second"]
    assert budget.spent.cost == 12


def test_repetitions_are_counted_before_they_happen() -> None:
    async def run() -> None:
        budget = Budget(max_calls=5)
        async with budget.admit(1, 1, retries=10) as retries:
            assert retries == 4
        budget.spent.calls = 4
        async with budget.admit(1, 1, retries=10) as retries:
            assert retries == 0
        budget.spent.calls = 5
        with pytest.raises(LimitReachedError, match="--max-calls 5"):
            async with budget.admit(1, 1, retries=0):
                pass

    asyncio.run(run())


def test_repetitions_are_paid_for_before_they_happen() -> None:
    price = Price(input=1_000_000, output=0, as_of="2026-01-01")  # one a token
    order: list[str] = []

    async def call(budget: Budget, name: str, retries: int) -> None:
        async with budget.admit(10, 0, retries) as allowed:
            order.append(f"{name} {allowed}")
            await asyncio.sleep(0.01)
            budget.spent.cost += 10

    async def run() -> None:
        budget = Budget(max_cost=65, price=price)
        # the first may need 50 of 65; the second waits for it, and three requests are left for the third
        await asyncio.gather(call(budget, "first", 4), call(budget, "second", 4))
        await call(budget, "third", 4)
        budget.spent.cost = 50
        await call(budget, "last", 4)
        with pytest.raises(LimitReachedError, match="max-cost"):
            await call(budget, "none", 4)

    asyncio.run(run())
    assert order == ["first 4", "second 4", "third 3", "last 0"]


def test_tokens_are_rather_too_many() -> None:
    assert estimate_tokens("右手平伸") == 4
    assert estimate_tokens("") == 0
    assert estimate_tokens("The right hand.") == 5


def test_prices_by_name_and_date() -> None:
    table = PriceTable(
        {"m": Price(input=1, output=2, as_of="2026-01-01"), "m-mini": Price(input=3, output=4, as_of="2026-02-01")}
    )
    assert table.find("m").input == 1
    assert table.find("m-mini-2026").input == 3
    assert table.find("n") is None
    assert table.find("m").cost(1_000_000, 500_000) == 2.0


def test_the_table_of_the_package_is_dated() -> None:
    table = PriceTable.load()
    assert table.models
    assert all(price.as_of.year >= 2024 for price in table.models.values())


@pytest.mark.parametrize(
    "content",
    ["models: {m: {input: 1, output: 2}}", "models: {m: {input: -1, output: 2, as_of: 2026-01-01}}", "[", "x"],
)
def test_a_table_that_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(content)
    with pytest.raises(LLMConfigError, match=r"prices\.yaml: not a price table"):
        PriceTable.load(path)
    with pytest.raises(FileNotFoundError, match=r"none\.yaml"):
        PriceTable.load(tmp_path / "none.yaml")
