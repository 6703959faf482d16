from __future__ import annotations

import re
from pathlib import Path

import pytest

from gspmc_mm.evaluation.benchmarking.tables import Sheet
from gspmc_mm.evaluation.provenance import origins
from gspmc_mm.evaluation.results import (
    AblationRecord,
    AblationRow,
    Accuracy,
    ComparisonRecord,
    Difference,
    Failure,
    FoldsRecord,
    FoldsRow,
    FusionRecord,
    FusionRow,
    Published,
    Record,
    RobustnessCell,
    RobustnessRecord,
    SeedDifference,
    read_records,
    write_record,
)
from gspmc_mm.evaluation.results_page import fill_page, filled, gathered
from gspmc_mm.evaluation.results_tables import latex_table, tables

FACTS = {
    "time": "2026-01-02T03:04:05+00:00",
    "command": "/somewhere/else/tools/analysis/tool.py --flag",
    "seed": [0, 1],
    "data": {"poses.arrow": "sha256:0123456789abcdef"},
    "versions": {"python": "3.11", "torch": "2.14.1"},
    "git": {"commit": "c" * 40, "modified": True},
    "host": {"system": "Linux", "cpu": "a processor", "cores": 2, "gpus": []},
}
ACCURACY = Accuracy(clips=10, mean=0.5, std=0.012, seeds=2, low=0.4, high=0.6, interval="signers", per_class=0.45)
COMMON = {"title": "A title", "provenance": FACTS, "seconds": 7200.0}
PAGE = "# Results\n\n<!-- results:one python make_one.py --seeds 3 -->\nold 12.3\n<!-- end -->\nbetween\n"


def comparison() -> ComparisonRecord:
    pair = SeedDifference(first_seed=0, second_seed=0, difference=0.1, only_first=1, only_second=2, p_value=0.03)
    gap = Difference(mean=0.1, low=0.02, high=0.18, pairs=(pair,))
    return ComparisonRecord(
        **COMMON, first="base", second="ours", first_top1=ACCURACY, first_top5=ACCURACY, second_top1=ACCURACY,
        second_top5=ACCURACY, top1=gap, top5=gap, signers=5, draws=100, bootstrap_seed=0, verdict="second",
        sentence="ours is better than base.",
    )  # fmt: skip


def folds(**changes: object) -> FoldsRecord:
    row = FoldsRow(name="base", config="configs/base.py", command="python tools/train.py x", top1=ACCURACY, ece=0.05)
    return FoldsRecord(**{**COMMON, "data": "toy", "splits": "s", "folds": (0, 1), "rows": (row,), **changes})


def fusion() -> FusionRecord:
    def row(name: str, weight: float | None = None) -> FusionRow:
        return FusionRow(name=name, weight=weight, top1=ACCURACY, top5=ACCURACY)

    printed = (
        Published(method="GSP-MC, joint", row="j", top1=0.9601),
        Published(method="Four", row="fused", top1=0.971, top5=0.999),
        Published(method="Other & Co", top1=0.9),
    )
    return FusionRecord(
        **COMMON, weighting="fixed", streams=(row("j", 0.5), row("b", 0.5)), fused=row("fused"), published=printed,
        left_out={"b": ("c1", "c2")},
    )  # fmt: skip


def ablation() -> AblationRecord:
    rows = (
        AblationRow(name="none", config="configs/a.py", seeds=(0, 1), top1=ACCURACY, top5=ACCURACY, published=0.9385),
        AblationRow(name="all", config="configs/b.py", failed=(Failure(run="all seed 0", reason="it\nbroke"),)),
    )
    return AblationRecord(**COMMON, table="table5", data="toy", rows=rows)


def robustness() -> RobustnessRecord:
    cell = RobustnessCell(checkpoint="base", corruption="noise", severity=2, clips=5, top1=0.25, low=0.1, high=0.9)
    return RobustnessRecord(
        **COMMON, data="toy", checkpoints={"base": "b.pth"}, corruptions={"noise": "noise (px)"}, cells=(cell,),
        figures=("results/r.svg",),
    )  # fmt: skip


ALL = {"folds": folds, "comparison": comparison, "fusion": fusion, "ablation": ablation, "robustness": robustness}


def text_of(record: Record, folder: Path) -> str:
    return filled(PAGE, {"one": record}, folder)[0]


@pytest.mark.parametrize("kind", list(ALL))
def test_every_kind_has_tables_and_says_where_it_comes_from(kind: str, tmp_path: Path) -> None:
    record = ALL[kind]()
    text = text_of(record, tmp_path)
    assert "12.3" not in text
    assert text.endswith("<!-- end -->\nbetween\n")
    for words in (
        "`python tools/analysis/tool.py --flag`",
        "2026-01-02",
        "seeds 0, 1",
        "commit ccccccccc with changes",
        "a processor, 2 cores",
        "PyTorch 2.14.1",
        "2.0 h",
        "`poses.arrow` 0123456789ab",
    ):
        assert words in text
    for sheet in tables(record):
        assert all(len(row) == len(sheet.headings) for row in sheet.rows)
        assert sheet.to_markdown() in text


def test_trainings_of_another_commit_or_machine_are_told(tmp_path: Path) -> None:
    elsewhere = {**FACTS, "git": {"commit": "d" * 40, "modified": False}}
    runs = [{"provenance": FACTS}, {"provenance": elsewhere}, {"provenance": elsewhere}, {"seconds": 3.0}]
    text = text_of(folds(trained=origins(runs)), tmp_path)
    assert text.count("Trained with commit ddddddddd · a processor, 2 cores") == 1
    assert "Trained with" not in text_of(folds(trained=origins(runs[:1])), tmp_path)


def test_figures_of_the_tables() -> None:
    (sheet, *_) = tables(folds())
    assert "50.0 ± 1.2 [40.0, 60.0]" in sheet.rows[0]
    assert "5.0" in sheet.rows[0]
    (sheet,) = tables(comparison())
    assert "+10.0" in sheet.rows[0]
    assert "[+2.0, +18.0]" in sheet.rows[0]


def test_published_figures_stand_beside_their_row_or_in_one_of_their_own() -> None:
    (sheet,) = tables(fusion())
    by_name = {row[0]: row for row in sheet.rows}
    assert by_name["j"][-2:] == ["96.01", "-"]
    assert by_name["b"][-2:] == ["-", "-"]
    assert by_name["fused"][-2:] == ["97.10", "99.90"]
    assert by_name["Other & Co"][1:-2] == ["-"] * 7
    assert "Four" not in by_name


def test_verdict_troubles_and_pictures(tmp_path: Path) -> None:
    assert "**ours is better than base.**" in text_of(comparison(), tmp_path)
    assert "b: 2" in text_of(fusion(), tmp_path)
    text = text_of(ablation(), tmp_path)
    assert "**Incomplete:** 1 of the runs" in text
    assert "- all seed 0: it broke" in text
    assert "**Figure not drawn yet:** `results/r.svg`" in text_of(robustness(), tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "r.svg").write_text("<svg/>")
    assert "![A title](results/r.svg)" in text_of(robustness(), tmp_path)


def test_what_has_no_file_says_the_command(tmp_path: Path) -> None:
    text, report = filled(PAGE, {}, tmp_path)
    assert "**Not run yet.** `python make_one.py --seeds 3`" in text
    assert report.not_run == ["one"]
    again, _ = filled(text, {}, tmp_path)
    assert again == text


def test_filling_twice_changes_nothing(tmp_path: Path) -> None:
    once = text_of(folds(), tmp_path)
    assert filled(once, {"one": folds()}, tmp_path)[0] == once


def test_records_without_a_mark_are_not_lost(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no mark for two"):
        filled(PAGE, {"one": folds(), "two": fusion()}, tmp_path)
    text, report = filled(PAGE + "<!-- results:* -->\n<!-- end -->\n", {"one": folds(), "two": ablation()}, tmp_path)
    assert "### A title" in text
    assert (report.whole, report.incomplete) == (["one"], ["two"])


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("# nothing\n", "no mark"),
        (PAGE + PAGE, "two marks for one"),
        (PAGE + "<!-- results:two x -->\n", "not closed"),
    ],
)
def test_pages_that_cannot_be_filled(page: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        filled(page, {}, tmp_path)


def test_the_page_of_the_repository_can_be_filled(repository: Path, tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    page.write_text((repository / "docs" / "results.md").read_text())
    report = fill_page(page, tmp_path / "results")
    assert "wlasl100_folds" in report.not_run
    write_record(tmp_path / "results" / "wlasl100_folds.json", folds())
    assert fill_page(page, tmp_path / "results").whole == ["wlasl100_folds"]
    with pytest.raises(FileNotFoundError, match="no page"):
        fill_page(tmp_path / "none.md", tmp_path)


def test_the_page_of_the_repository_is_up_to_date(repository: Path, tmp_path: Path) -> None:
    page = repository / "docs" / "results.md"
    text, _ = filled(page.read_text(), read_records(page.with_suffix("")), page.parent)
    assert text == page.read_text(), "python tools/analysis/results.py fills it"


def test_latex() -> None:
    sheet = Sheet("50 % of\nall", ["a_b", "n"], [["x & y_1", "5 ± 1 %"], ["{~^\\}", "-"]])
    text = latex_table(sheet, "50 %", "tab:x")
    assert text.startswith("% 50 % of all\n")
    assert r"\begin{tabular}{lr}" in text
    assert r"a\_b & n \\" in text
    assert r"x \& y\_1 & 5 $\pm$ 1 \% \\" in text
    assert r"\{\textasciitilde{}\textasciicircum{}\textbackslash{}\} & - \\" in text
    assert r"\caption{50 \%}" in text
    assert len(re.findall(r"\\(begin|end)\{table\}", text)) == 2


def test_folds_with_the_same_trouble_share_a_line() -> None:
    troubles = [(f"gloss seed {seed} fold {fold}", "not run") for seed in (1, 2) for fold in (0, 1, 2)]
    troubles[2:2] = [("b seed 0 fold 4", "it\ndied"), ("visual encoder", "no bank"), ("manifold 3", "not run")]
    assert gathered(troubles) == [
        "gloss seed 1 folds 0, 1, 2: not run",
        "b seed 0 fold 4: it died",
        "visual encoder: no bank",
        "manifold 3: not run",
        "gloss seed 2 folds 0, 1, 2: not run",
    ]
