"""From a record of robustness to the panels of its figure; used by robustness.py and figures.py beside it."""

from __future__ import annotations

from gspmc_mm.evaluation.corruptions import CORRUPTIONS
from gspmc_mm.evaluation.results import RobustnessCell, RobustnessRecord
from gspmc_mm.evaluation.robustness import CLEAN
from gspmc_mm.visualization.severity import Level, SeverityPanel


def severity_panels(record: RobustnessRecord) -> list[SeverityPanel]:
    """One panel for every corruption, the untouched clips at the severity that changes nothing."""

    def level(cell: RobustnessCell, severity: float) -> Level:
        return Level(severity, cell.top1, cell.low, cell.high)

    clean = {cell.checkpoint: cell for cell in record.cells if cell.corruption == CLEAN}
    panels = []
    for kind in record.corruptions:
        if kind == CLEAN:
            continue
        corruption = CORRUPTIONS[kind]
        lines: dict[str, list[Level]] = {}
        for cell in record.cells:
            if cell.corruption == kind:
                lines.setdefault(cell.checkpoint, []).append(level(cell, cell.severity))
        for name, levels in lines.items():
            if name in clean:
                levels.append(level(clean[name], corruption.identity))
        panels.append(SeverityPanel(corruption.title, corruption.unit, lines, corruption.identity, corruption.switch))
    return panels
