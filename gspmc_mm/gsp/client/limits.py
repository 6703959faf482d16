"""How fast and how much may be asked: limits per minute, and of calls and money in one run."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gspmc_mm.gsp.client.errors import LimitReachedError
from gspmc_mm.gsp.client.prices import Price

_WINDOW = 60.0


def estimate_tokens(text: str) -> int:
    """Tokens of a text, roughly and rather too many: three bytes each (a Chinese character is three bytes)."""
    return -(-len(text.encode("utf-8")) // 3)


class SlidingWindow:
    """At most `limit` units in any 60 seconds; None: no limit.

    An amount above the limit waits for an empty window, since it could never fit.
    """

    def __init__(
        self,
        limit: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.limit = limit
        self._clock = clock
        self._sleep = sleep
        self._spent: deque[tuple[float, float]] = deque()
        self._total = 0.0
        self._lock = asyncio.Lock()

    async def acquire(self, amount: float = 1.0) -> None:
        """Wait until `amount` fits into the window, and spend it."""
        if self.limit is None:
            return
        async with self._lock:  # first come, first served
            while self._now_spent() > 0 and self._total + amount > self.limit:
                await self._sleep(max(self._spent[0][0] + _WINDOW - self._clock(), 0.001))
            self._spend(amount)

    def _spend(self, amount: float) -> None:
        self._spent.append((self._clock(), amount))
        self._total += amount

    def _now_spent(self) -> float:
        while self._spent and self._spent[0][0] <= self._clock() - _WINDOW:
            self._total -= self._spent.popleft()[1]
        if not self._spent:
            self._total = 0.0  # no dust of rounding
        return self._total


@dataclass
class Spending:
    """What a run has used so far.

    Attributes:
        calls: requests sent, repetitions by the client and the first trial included.
        answers: of them, those that came back with an answer.
        recorded: questions answered from the cache.
        prompt_tokens, completion_tokens: as counted by the server, else estimated; of requests that brought no answer,
            which may be billed all the same, what they may have taken.
        cost: of these tokens, in the currency of the price; 0 where no price is known.
    """

    calls: int = 0
    answers: int = 0
    recorded: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


class Budget:
    """Keeps a run within `max_calls` requests and `max_cost`, strictly: what is in flight is counted before.

    A call is let in with as many repetitions as still fit, each with its answer at full length. Where money lacks for
    some because of calls in flight, it waits for those; where not even one request fits, `LimitReachedError` is raised.
    """

    def __init__(self, max_calls: int | None = None, max_cost: float | None = None, price: Price | None = None) -> None:
        self.max_calls = max_calls
        self.max_cost = max_cost
        self.price = price
        self.spent = Spending()
        self._reserved_calls = 0
        self._reserved_cost = 0.0
        self._changed = asyncio.Condition()

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Cost of a call; 0 where no price is known."""
        return self.price.cost(prompt_tokens, completion_tokens) if self.price else 0.0

    @asynccontextmanager
    async def admit(self, prompt_tokens: int, completion_tokens: int, retries: int) -> AsyncIterator[int]:
        """Let a call in, and give it the number of repetitions that it may make (at most `retries`).

        Raises:
            LimitReachedError: the call does not fit any more.
        """
        cost = self.cost(prompt_tokens, completion_tokens)
        async with self._changed:
            # the last in flight takes what is left, even if that is not enough for all its repetitions
            while (problem := self._problem(cost)) is not None or (
                self._reserved_calls and self._affordable(cost) <= retries
            ):
                if self._reserved_calls == 0:
                    raise LimitReachedError(problem)
                await self._changed.wait()
            allowed = retries
            if self.max_calls is not None:
                allowed = min(allowed, self.max_calls - self.spent.calls - self._reserved_calls - 1)
            allowed = int(min(allowed, max(self._affordable(cost) - 1, 0)))
            reserved = (1 + allowed) * cost
            self._reserved_calls += 1 + allowed
            self._reserved_cost += reserved
        try:
            yield allowed
        finally:
            async with self._changed:
                self._reserved_calls -= 1 + allowed
                self._reserved_cost -= reserved
                self._changed.notify_all()

    def _affordable(self, cost: float) -> float:
        """How many requests of this cost still fit beside what is in flight."""
        if self.max_cost is None or not cost:
            return math.inf
        return (self.max_cost - self.spent.cost - self._reserved_cost) // cost

    def _problem(self, cost: float) -> str | None:
        """Why another call cannot be let in now."""
        if self.max_calls is not None and self.spent.calls + self._reserved_calls >= self.max_calls:
            return f"stopped at --max-calls {self.max_calls}"
        if self.max_cost is not None and self.spent.cost + self._reserved_cost + cost > self.max_cost:
            currency = self.price.currency if self.price else ""
            return (
                f"stopped before --max-cost {self.max_cost:g} {currency}: {self.spent.cost:.4f} spent, another call "
                f"may cost up to {cost:.4f}"
            )
        return None
