"""The tables of a benchmark: for a terminal, and as Markdown for docs/speed.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gspmc_mm.evaluation.benchmarking.capacity import computed_capacity, growth

INFER, TRAIN = "infer", "train"
NONE = "-"


@dataclass
class Sheet:
    """A table as text.

    Attributes:
        title: What stands above it.
        headings: Of the columns; the first column is aligned to the left.
        rows: Cells.
    """

    title: str
    headings: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)

    def to_rich(self) -> Any:
        """The table for a terminal."""
        from rich.table import Table

        table = Table(title=self.title)
        for number, heading in enumerate(self.headings):
            table.add_column(heading, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def to_markdown(self) -> str:
        """The table for a page."""
        lines = [
            f"*{self.title}*",
            "",
            "| " + " | ".join(self.headings) + " |",
            "|" + "|".join("--:" if number else "---" for number in range(len(self.headings))) + "|",
            *("| " + " | ".join(row) + " |" for row in self.rows),
        ]
        return "\n".join(lines) + "\n"


def sheets(section: str, result: Mapping[str, Any]) -> Iterator[Sheet]:
    """All tables of a section's JSON."""
    return _SECTIONS[section](result)


def model_sheets(result: Mapping[str, Any]) -> Iterator[Sheet]:
    """One table for every size of input."""
    speeds = ", ".join(f"{name} {speed / 1e9:.0f} G/s" for name, speed in result["matmul_multiply_adds_per_s"].items())
    where = f"{result['device']}, {result['threads']} thread(s); a matrix product does {speeds} multiply-adds"
    headings = ["network"]
    for what in ("inference", "training"):
        headings += [f"{what} ms", "times reference", "of matmul", "peak MiB"]
    headings += ["peak of training / reference", "kept for backward, MiB a clip"]
    for cell in result["cells"]:
        title = f"V={cell['joints']} T={cell['frames']} batch={cell['batch']}, {where}"
        sheet = Sheet(title, headings)
        unit = cell["memory"].get(result["unit"], {}).get("train_peak_mib")
        for name, memory in cell["memory"].items():
            columns = [name]
            for what in (INFER, TRAIN):
                row, peak = cell[what].get(name), memory.get(f"{what}_peak_mib")
                if row is None:
                    columns += [NONE] * 4
                    continue
                columns += [
                    f"{row['median_s'] * 1e3:.1f}",
                    f"{row['speedup']:.2f}" if "speedup" in row else NONE,
                    f"{row['share_of_matmul_speed']:.0%}",
                    NONE if peak is None else f"{peak:.0f}",
                ]
            peak, kept = memory.get("train_peak_mib"), memory.get("saved_mib_per_clip")
            columns.append(f"{peak / unit:.2f}" if peak is not None and unit else NONE)
            columns.append(NONE if kept is None else f"{kept:.0f}")
            sheet.rows.append(columns)
        yield sheet


def growth_sheets(result: Mapping[str, Any]) -> Iterator[Sheet]:
    """How the cost of a training step grows with joints and with frames, where at least three sizes were measured."""
    cells = result["cells"]
    middle = min(cells, key=lambda c: (abs(c["joints"] - 87), abs(c["frames"] - 64), abs(c["batch"] - 4)))
    for axis, other in (("joints", "frames"), ("frames", "joints")):
        line = sorted(
            (c for c in cells if c[other] == middle[other] and c["batch"] == middle["batch"]), key=lambda c: c[axis]
        )
        if len(line) < 3:
            continue
        sizes = [cell[axis] for cell in line]
        span = " ".join(str(size) for size in sizes)
        sheet = Sheet(
            f"Training step by {axis} ({span}) at {other} {middle[other]}, batch {middle['batch']}: exponent between "
            "the ends (1 linear, 2 quadratic), and the quadratic part at the largest size in the best fit a n + b n²",
            ["network", "time: exponent", "quadratic part", "multiply-adds: exponent", "quadratic part"]
            + ["peak memory: exponent", "quadratic part"],
        )
        for name in middle[TRAIN]:
            columns = [name]
            for value in (
                lambda c, name=name: c[TRAIN].get(name, {}).get("median_s"),
                lambda c, name=name: c[TRAIN].get(name, {}).get("multiply_adds_per_clip"),
                lambda c, name=name: c["memory"][name].get("train_peak_mib"),
            ):
                costs = [value(cell) for cell in line]
                if None in costs or min(costs) <= 0:
                    columns += [NONE, NONE]
                    continue
                found = growth(sizes, costs)
                columns += [f"{found['exponent']:.2f}", f"{found['quadratic_share']:.0%}"]
            sheet.rows.append(columns)
        yield sheet


def capacity_sheets(result: Mapping[str, Any]) -> Iterator[Sheet]:
    """COMPUTED from the section `model`: which batch fits which card."""
    rows = computed_capacity(result)
    if not rows:
        return
    sheet = Sheet(
        f"COMPUTED, not measured on these machines: from the training peaks measured on {result['device']} over the "
        "batches at V=87 T=64, and from counted multiply-adds",
        ["machine", "network", "MiB a clip", "clips that fit a card", "clips wanted a card", "passes a step"]
        + ["steps an epoch", "steps", "minutes if the nominal peak were reached"],
    )
    for row in rows:
        sheet.rows.append(
            [
                row["machine"],
                row["contender"],
                f"{row['mib_per_clip']:.0f}",
                str(row["clips_that_fit_a_card"]),
                str(row["clips_wanted_per_card"]),
                str(row["passes_per_step"]),
                str(row["steps_per_epoch"]),
                f"{row['steps']:,}",
                f"{row['minutes_at_nominal_peak']:.0f}",
            ]
        )
    yield sheet


def pipeline_sheets(result: Mapping[str, Any]) -> Iterator[Sheet]:
    """Speed of a worker, then memory of a rank."""
    sheet = Sheet(
        f"One worker, clips of {result['frames']} frames of 133 points on average, one clip each in turns",
        ["pipeline", "clips/s", "times PoseDataset, 133 points", "times PoseDataset, 87 points"],
    )
    for name, row in result["speed"].items():
        numbers = [f"{row['clips_per_s']:.0f}", f"{row['speedup']:.2f}", f"{row['speedup_87']:.2f}"]
        sheet.rows.append([name, *numbers])
    yield sheet
    sheet = Sheet(
        "Private memory of a process with the data set open; the last two columns are EXTRAPOLATED, on a straight line",
        ["data set", "measured at (clips: MiB)", "KiB a clip", "clips", "MiB"],
    )
    for name in ("ours", "PoseDataset"):
        row = result["memory"][name]
        measured = ", ".join(f"{clips}: {mib:.1f}" for clips, mib in row["measured_mib"].items())
        sheet.rows.append(
            [name, measured, f"{row['kib_per_clip']:.2f}", f"{row['extrapolated_to_clips']:,}"]
            + [f"{row['extrapolated_mib']:,.0f}"]
        )
    sheet.rows.append(["ours / PoseDataset", "", "", "", f"{result['memory']['share']:.2%}"])
    yield sheet


def text_sheets(result: Mapping[str, Any]) -> Iterator[Sheet]:
    """The cost of the texts, as tools/analysis/training_cost.py measures it."""
    batch, *_, frames, joints, _ = result["input_shape"]
    sheet = Sheet(
        f"batch {batch}, {frames} frames, {joints} joints; {result['device']}, {result['threads']} thread(s)",
        ["step", "without texts, ms", "with texts, ms", "median of ratios", "quartiles"],
    )
    for what, name in ((TRAIN, "training"), (INFER, "inference")):
        # Figures of a GPU, and old ones, have no processor time.
        for row, of in ((result[what], ""), (result[what].get("processor_time"), ", processor time")):
            if row is not None:
                ends = " to ".join(f"{value:.3f}" for value in row["quartiles_of_ratios"])
                medians = [f"{row['median_ms'][kind]:.1f}" for kind in ("baseline", "gspmc")]
                sheet.rows.append([name + of, *medians, f"{row['median_of_ratios']:.4f}", ends])
    yield sheet
    branch = result["text_branch"]
    yield Sheet(
        "The text branch by itself",
        ["forward, backward, optimizer, ms", "of a training step without it"],
        [[f"{branch['median_ms']:.1f}", f"{branch['share_of_training_step']:.2%}"]],
    )


def store_sheets(result: Mapping[str, Any]) -> Iterator[Sheet]:
    """The pose store: opening it, reading from it."""
    sheet = Sheet(
        f"Pose store of {result['clips']:,} clips of {result['frames']} frames, {result['gib']:.2f} GiB",
        ["process", "open s", "a whole clip ms", "64 frames x 87 points ms", "MiB of its own by opening"],
    )
    for row in result["processes"]:
        sheet.rows.append(
            [row["name"], f"{row['open_s']:.3f}", f"{row['clip_ms']:.3f}", f"{row['part_ms']:.3f}"]
            + [f"{row['open_private']:.1f}"]
        )
    yield sheet


def scaling_sheets(result: Mapping[str, Any]) -> Iterator[Sheet]:
    """Training on several ranks."""
    sheet = Sheet(
        f"V={result['joints']} T={result['frames']}, {result['batch_per_rank']} clips and "
        f"{result['threads_per_rank']} thread(s) a rank, gloo on one machine",
        ["ranks", "step, s", "clips/s", "share of the speed of one rank"],
    )
    for row in result["rows"]:
        numbers = [f"{row['median_s']:.2f}", f"{row['clips_per_s']:.2f}", f"{row['efficiency']:.0%}"]
        sheet.rows.append([str(row["ranks"]), *numbers])
    yield sheet


_SECTIONS = {
    "model": model_sheets,
    "small": model_sheets,
    "growth": growth_sheets,
    "capacity": capacity_sheets,
    "pipeline": pipeline_sheets,
    "text": text_sheets,
    "store": store_sheets,
    "scaling": scaling_sheets,
}
