"""What a reader of a published data set found: its counts beside the known ones, and its faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

SHOWN = 5  # examples of a kind of fault in the printed report


class DataSetError(ValueError):
    """The files of a data set contradict one another: names them."""


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it should be.

    Attributes:
        kind: what it is in a few words, the same for all of its kind: 'label against folder'.
        subject: the clip, file or class.
        message: what was found and what was expected.
        contradiction: two files say different things, so that the clip is used by nobody; otherwise something is only
            missing or surplus.
    """

    kind: str
    subject: str
    message: str
    contradiction: bool = False


@dataclass
class DataSetReport:
    """Counts and faults.

    Attributes:
        name: of the data set.
        counts: what was counted: found and known number.
        faults: in the order in which they were found.
        notes: what a user should know beside.
    """

    name: str
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def differ(self, kind: str, subject: str, message: str) -> None:
        """Something is missing or surplus."""
        self.faults.append(Fault(kind, subject, message))

    def contradict(self, kind: str, subject: str, message: str) -> None:
        """Two files say different things."""
        self.faults.append(Fault(kind, subject, message, contradiction=True))

    @property
    def contradictions(self) -> tuple[Fault, ...]:
        """The faults that a person has to decide."""
        return tuple(fault for fault in self.faults if fault.contradiction)

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many faults of each kind."""
        found: dict[str, int] = {}
        for fault in self.faults:
            found[fault.kind] = found.get(fault.kind, 0) + 1
        return found

    def lines(self, shown: int = SHOWN) -> Iterator[str]:
        """The report as text: counts, then the faults by kind, contradictions first, then the notes."""
        width = max((len(what) for what in self.counts), default=0)
        yield f"{self.name}: found, and known from its publication"
        for what, (found, known) in self.counts.items():
            difference = "" if found == known else f"   {found - known:+,}"
            yield f"  {what:<{width}}  {found:>9,} {known:>9,}{difference}"
        for contradiction, title in ((True, "CONTRADICTION"), (False, "difference")):
            for kind, number in self.kinds.items():
                faults = [f for f in self.faults if f.kind == kind and f.contradiction == contradiction]
                if not faults:
                    continue
                yield f"{title}: {kind} ({number:,})"
                for fault in faults[:shown]:
                    yield f"  {fault.subject}: {fault.message}"
                if len(faults) > shown:
                    yield f"  ... and {len(faults) - shown:,} more"
        for note in self.notes:
            yield f"note: {note}"

    def check(self, leave_out: bool) -> None:
        """Refuse to go on with contradictions.

        Raises:
            DataSetError: there are some, and their clips are not to be left out.
        """
        if self.contradictions and not leave_out:
            first = self.contradictions[0]
            raise DataSetError(
                f"{len(self.contradictions)} contradictions, the first: {first.subject}: {first.message}. Correct the "
                "files, or leave these clips out (--leave-out-faulty); nothing was written"
            )
