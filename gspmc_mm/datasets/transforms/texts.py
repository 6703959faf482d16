"""Which rows of the text bank belong to a clip."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from gspmc_mm.datasets.transforms.keypoints import clip_layout
from gspmc_mm.descriptions import SYNONYM_TERM, TextBank, TextBankError
from gspmc_mm.skeleton import Layout, get_layout

# Fills the places of a row table that have no text.
NO_ROW = -1


def row_table(rows: Sequence[np.ndarray], width: int) -> np.ndarray:
    """Index arrays of different lengths as one int64 table (len(rows), width), padded with -1."""
    table = np.full((len(rows), width), NO_ROW, dtype=np.int64)
    for line, indices in zip(table, rows, strict=True):
        line[: len(indices)] = indices
    return table


@TRANSFORMS.register_module()
class LoadSignDescriptions(BaseTransform):
    """Add the rows of the text bank that describe the clip's sign.

    The bank is read once, when the pipeline is built. A mirrored clip gets the texts of the opposite
    part (the right hand's for the left hand), as its layout pairs them. The synonym is drawn anew each
    time, hence each epoch.

    Required Keys:

        - label
        - layout (of a mirrored clip; clips of mmaction's PoseDataset have none, see `layout` below)
        - mirrored (optional), from MirrorSigner
        - flip (optional), from mmaction's Flip, which has to be given left_kp and right_kp
        - clip_id (optional)

    Added Keys:

        - text_rows (number of terms, K) int64: rows of the bank, padded with -1. Terms in the
          order of `bank.term_names` (global, synonym, parts); the synonym line holds one row, the
          others all rows of their term; K is the longest line of any sign.

    Args:
        text_bank: Path of a text bank, or a TextBank. None, as in the classifier-only baselines: no rows are
            added; a config with texts names its bank through the dataset's `pipeline_overrides`.
        num_classes: Number of classes of the data, checked against the bank.
        classes: Class names of the data by label, checked against the bank.
        layout: Layout of the clips that do not name theirs.
        num_synonyms: Draw from the first so many synonyms of a sign only; 0 for none. All of them by default.

    Raises:
        FileNotFoundError, TextBankError: The bank cannot be read or is of another data set.
        ValueError: At a clip whose label is beyond the bank, or a mirrored one of unknown layout.
    """

    def __init__(
        self,
        text_bank: str | os.PathLike | TextBank | None = None,
        num_classes: int | None = None,
        classes: Sequence[str] | None = None,
        layout: str | os.PathLike | Mapping | Layout | None = None,
        num_synonyms: int | None = None,
    ) -> None:
        if num_synonyms is not None and num_synonyms < 0:
            raise ValueError(f"LoadSignDescriptions: num_synonyms is a number of texts, got {num_synonyms}")
        self.layout = None if layout is None else get_layout(layout)
        self.num_synonyms = num_synonyms
        if text_bank is None:
            self.bank, self.text_bank, self.num_classes, self.term_names = None, None, None, ()
            return
        if isinstance(text_bank, TextBank):
            bank, self.text_bank = text_bank, repr(text_bank)
        else:
            bank, self.text_bank = TextBank.load(text_bank), os.fspath(text_bank)
        bank.check_classes(num_classes=num_classes, classes=classes)
        self.bank = bank
        self.term_names = tuple(bank.term_names)
        self.num_classes = bank.num_classes
        synonym = self.term_names.index(SYNONYM_TERM)
        widths = [
            bank.max_rows(term) if position != synonym else min(1, bank.max_rows(term))
            for position, term in enumerate(self.term_names)
        ]
        width = max(1, *widths)
        # (sign, term, K); the synonym line stays empty here and is drawn for each clip.
        self._rows = np.stack(
            [
                row_table(
                    [
                        bank.rows(label, term) if position != synonym else np.empty(0, np.int64)
                        for position, term in enumerate(self.term_names)
                    ],
                    width,
                )
                for label in range(self.num_classes)
            ]
        )
        synonyms = [bank.rows(label, SYNONYM_TERM)[:num_synonyms] for label in range(self.num_classes)]
        self._synonyms = row_table(synonyms, max(1, bank.max_rows(SYNONYM_TERM)))
        self._synonym_counts = np.array([len(rows) for rows in synonyms], dtype=np.int64)
        self._synonym = synonym

    def check_classes(self, num_classes: int | None, classes: Sequence[str] | None) -> None:
        """Refuse a bank of other signs than the data's; SignPoseDataset asks when it opens its file.

        Raises:
            TextBankError: Number, names or order of the signs differ.
        """
        if self.bank is not None:
            try:
                self.bank.check_classes(num_classes=num_classes, classes=classes)
            except TextBankError as error:
                raise TextBankError(f"{self.text_bank}: {error}") from error

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add `text_rows`."""
        # Drawn for every clip, with texts or without: under one seed a baseline then sees the same augmentations.
        chance = np.random.random()
        if self.text_bank is None:
            return results
        label = int(results["label"])
        if not 0 <= label < self.num_classes:
            raise ValueError(
                f"clip {results.get('clip_id')!r} has label {label}, but text bank "
                f"{self.text_bank} describes {self.num_classes} signs (labels 0 to "
                f"{self.num_classes - 1}); use the bank of this data set"
            )
        rows = self._rows[label].copy()
        if bool(results.get("mirrored", False)) != bool(results.get("flip", False)):
            opposite = clip_layout(results, self.layout, self, state=" is mirrored and").swap_parts
            order = [
                self.term_names.index(other) if (other := opposite.get(term, term)) in self.term_names else None
                for term in self.term_names
            ]
            rows = np.stack([rows[i] if i is not None else np.full_like(rows[0], NO_ROW) for i in order])
        if self._synonym_counts[label]:
            drawn = int(chance * self._synonym_counts[label])
            rows[self._synonym, 0] = self._synonyms[label, drawn]
        results["text_rows"] = rows
        return results

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(text_bank={self.text_bank!r}, "
            f"num_classes={self.num_classes}, terms={self.term_names}, num_synonyms={self.num_synonyms})"
        )
