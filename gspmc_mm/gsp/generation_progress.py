"""How far a generation is: signs, rate, calls, cost so far, time left."""

from __future__ import annotations

import sys
from typing import Any

from gspmc_mm.gsp.client import Spending


class NoProgress:
    """Shows nothing."""

    def __enter__(self) -> NoProgress:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def advance(self, spent: Spending, currency: str = "") -> None:
        """Another sign is done."""


class GenerationProgress(NoProgress):
    """A bar on stderr."""

    def __init__(self, signs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("signs"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[used]}"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
        )
        self._task = self._progress.add_task("signs", total=signs, rate="", used="")

    def __enter__(self) -> GenerationProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, spent: Spending, currency: str = "") -> None:
        """Another sign is done."""
        task: Any = self._progress.tasks[self._task]
        elapsed = task.elapsed or 0.0
        rate = f"{60 * (task.completed + 1) / elapsed:.0f} a minute" if elapsed > 0 else ""
        used = f"{spent.calls} calls, {spent.prompt_tokens + spent.completion_tokens} tokens"
        if currency:
            used += f", {spent.cost:.4f} {currency}"
        self._progress.update(self._task, advance=1, rate=rate, used=used)
