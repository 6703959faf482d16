"""The errors of this room."""

from __future__ import annotations

#: Why a clip failed, by the word that the ledger and the table of failures use.
REASONS = {
    "missing": "there is no such file",
    "unreadable": "the file is no video that can be decoded",
    "no frames": "the video opens and has no picture in it",
    "truncated": "the video ends before its last frame, or is damaged in the middle",
    "no person": "nobody was found in any frame",
    "crashed": "the process that worked on it died, more than once",
    "timeout": "no result came within the time limit of a clip",
    "error": "anything else; the message says what",
}


class ExtractionError(ValueError):
    """The whole run cannot start or go on: wrong options, a store of another estimator, missing weights."""


class ClipError(ValueError):
    """One clip cannot be extracted; the run goes on.

    Args:
        reason: one of `REASONS`.
        message: what was read and what was found, for a person.
    """

    def __init__(self, reason: str, message: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"{reason!r} is no reason for a failed clip; known: {', '.join(REASONS)}")
        super().__init__(reason, message)
        self.reason, self.message = reason, message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"
