"""Rows of an ablation from finished, failed and missing runs, without any training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.descriptions import CONTROLS, DescriptionSet, TextBank, build_text_bank, gloss_only
from gspmc_mm.evaluation import Predictions, gather_provenance, save_predictions
from gspmc_mm.evaluation.experiments import FoldRun, Variant
from gspmc_mm.evaluation.experiments.ablation_data import BANKS, DATA_SETS, _check_bank, _marks, _same_encoder
from gspmc_mm.evaluation.experiments.ablation_report import (
    Extent,
    LineRuns,
    ablation_record,
    ablation_rows,
    cells,
    folds_to_pool,
    header,
)
from gspmc_mm.evaluation.experiments.ablation_tables import TABLES, Line
from gspmc_mm.evaluation.paired import paired_difference
from gspmc_mm.evaluation.results import AblationRow


def predictions(fold: int, seed: int, right: float, signers: bool = True) -> Predictions:
    """Thirty clips of three signers, a share of them right."""
    rng = np.random.default_rng([fold, seed, int(100 * right)])
    labels = np.arange(30) % 3
    chosen = np.where(rng.random(30) < right, labels, (labels + 1) % 3)
    names = np.array([f"p{fold}{i % 3}" if signers else "" for i in range(30)])
    return Predictions(np.array([f"{fold}-{i}" for i in range(30)]), labels, np.eye(3)[chosen], names)


def line(folder: Path, name: str, right: float, done: Mapping[int, Sequence[int]], signers: bool = True) -> LineRuns:
    """A line with finished runs: folds by seed."""
    config = Path("configs") / f"{name}.py"
    runs = []
    for seed, folds in done.items():
        for fold in folds:
            run = FoldRun(Variant(name, config), seed, fold, folder / name / f"seed{seed}" / f"fold{fold}", (), (), {})
            run.record = {"tested": True, "seconds": 2.0}
            save_predictions(run.predictions, predictions(fold, seed, right, signers))
            runs.append(run)
    return LineRuns(Line(name, f"{name}.py"), str(config), runs)


def test_every_line_is_compared_with_the_first_and_the_controls_with_the_method_too(tmp_path: Path) -> None:
    names = [one.name for one in TABLES["controls"].lines_on("wlasl100")]
    lines = [line(tmp_path, name, 0.3 + 0.1 * i, {0: [0, 1], 1: [0, 1]}) for i, name in enumerate(names)]
    references = TABLES["controls"].references("wlasl100")
    assert references == ("visual encoder", "GSP-MC")
    rows = ablation_rows(lines, Extent([0, 1], [0, 1], [0, 1]), {}, references)
    assert [list(row.differences) for row in rows] == [
        ["GSP-MC"],
        ["visual encoder"],
        *[["visual encoder", "GSP-MC"]] * (len(rows) - 2),
    ]
    runs = [one.whole([0, 1], True) for one in lines]
    assert rows[3].differences["GSP-MC"] == paired_difference(runs[1], runs[3])
    record = ablation_record(TABLES["controls"], DATA_SETS["wlasl100"], rows, gather_provenance(seed=[0, 1]))
    assert record.split == "foldK_train / foldK_test"
    assert {"to visual encoder", "to GSP-MC"} <= set(header(record))
    table = [dict(zip(header(record), row, strict=True)) for row in cells(record)]
    assert table[0]["to visual encoder"] == ""
    for row, shown in zip(rows[2:], table[2:], strict=True):
        difference = row.differences["GSP-MC"]
        assert shown["to GSP-MC"].startswith(f"{100 * difference.mean:+.1f} [")
        assert shown["to GSP-MC"].rpartition(", ")[2] in ("better", "worse", "noise")


def test_lines_and_folds_that_were_not_run_are_named(tmp_path: Path) -> None:
    first, second = line(tmp_path, "a", 0.5, {}), line(tmp_path, "b", 0.7, {0: [0], 1: [0]})
    extent = Extent([0, 1], [0, 1], folds_to_pool([first, second], [0, 1], [0]))
    assert extent.pooled == [0]
    rows = ablation_rows([first, second], extent, {}, ["a"])
    assert rows[0].missing == ("a seed 0 fold 0", "a seed 0 fold 1", "a seed 1 fold 0", "a seed 1 fold 1")
    assert rows[1].missing == ("b seed 0 fold 1", "b seed 1 fold 1")
    assert (rows[1].folds, rows[1].top1.clips, rows[1].differences) == ((0,), 30, {})
    record = ablation_record(TABLES["tau"], DATA_SETS["wlasl100"], rows, gather_provenance())
    assert record.incomplete
    assert "falls to half along a cosine" in record.note


def test_an_unfinished_line_is_compared_on_the_seeds_that_both_have(tmp_path: Path) -> None:
    # seed 0 is the lucky one of both lines: three seeds of the first beside seed 0 of the second would flatter it
    seeds = (0, 1, 2)
    lucky = [line(tmp_path, f"a{seed}", right, {seed: [0]}) for seed, right in zip(seeds, (0.9, 0.5, 0.4), strict=True)]
    runs = [run for one in lucky for run in one.runs]
    first, second = LineRuns(Line("a", "a.py"), "configs/a.py", runs), line(tmp_path, "b", 0.8, {0: [0]})
    extent = Extent(seeds, [0], [0])
    difference = ablation_rows([first, second], extent, {}, ["a"])[1].differences["a"]
    assert difference == paired_difference(lucky[0].whole([0], True), second.whole([0], True))
    assert [(pair.first_seed, pair.second_seed) for pair in difference.pairs] == [(0, 0)]
    # without a common seed everything stands beside everything
    other = line(tmp_path, "c", 0.8, {3: [0]})
    pairs = ablation_rows([first, other], Extent((0, 1, 2, 3), [0], [0]), {}, ["a"])[1].differences["a"].pairs
    assert [(pair.first_seed, pair.second_seed) for pair in pairs] == [(0, 3), (1, 3), (2, 3)]


def test_a_part_of_the_folds_does_not_take_the_place_of_all(tmp_path: Path) -> None:
    whole, part = line(tmp_path, "a", 0.5, {0: [0, 1]}), line(tmp_path, "b", 0.7, {0: [0]})
    extent = Extent([0], [0, 1], folds_to_pool([whole, part], [0, 1], [0]))
    assert extent.pooled == [0, 1]
    rows = ablation_rows([whole, part], extent, {}, ["a"])
    assert (rows[0].top1.clips, rows[1].top1) == (60, None)


def test_without_signers_there_is_no_interval(tmp_path: Path) -> None:
    lines = [line(tmp_path, name, right, {0: [0]}, signers=False) for name, right in (("a", 0.2), ("b", 0.9))]
    rows = ablation_rows(lines, Extent([0], [0], [0]), {}, ["a"])
    record = ablation_record(TABLES["tau"], DATA_SETS["synthsign"], rows, gather_provenance())
    record = record.model_copy(update={"references": ("a",)})
    shown = dict(zip(header(record), cells(record)[1], strict=True))["to a"]
    assert shown == f"{100 * (rows[1].top1.mean - rows[0].top1.mean):+.1f} (no interval: signers not known)"


def test_lines_that_a_data_set_cannot_have_are_named_once_with_their_reason(tmp_path: Path) -> None:
    table, data = TABLES["table6"], DATA_SETS["bdsl55"]
    names = [one.name for one in table.lines_on("bdsl55")]
    rows = ablation_rows([line(tmp_path, name, 0.5, {0: [0]}) for name in names], Extent([0], [0], [0]), {})
    note = ablation_record(table, data, rows, gather_provenance()).note
    left_out = table.left_out("bdsl55")
    assert "27 + multipart" in left_out
    for name, reason in left_out.items():
        assert note.count(f"'{name}'") == 1
        assert note.count(f"on this data set: {reason}.") == 1


def test_records_from_before_there_were_differences_are_read() -> None:
    assert AblationRow(name="a", config="c.py").differences == {}


class Encoder:
    """A random direction for every text."""

    id, dim, max_tokens, note = "use-multilingual", 8, None, "not CLIP: a test"

    def count_tokens(self, text: str) -> int:
        return 1

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.random.default_rng(0).standard_normal((len(texts), self.dim))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def descriptions(tmp_path_factory: pytest.TempPathFactory) -> DescriptionSet:
    from gspmc_mm.datasets.synthsign import SynthSignSpec, generate
    from gspmc_mm.descriptions import load_descriptions

    folder = tmp_path_factory.mktemp("texts")
    generate(folder, SynthSignSpec(signs=4, signers=3, takes=1))
    return load_descriptions(folder / "descriptions.json")


def bank_of(options: Sequence[str], descriptions: DescriptionSet) -> TextBank:
    """What `tools/gsp/encode.py` makes with these options."""
    texts = gloss_only(descriptions) if "--gloss-only" in options else descriptions
    bank = build_text_bank(texts, Encoder(), progress=False)
    if "--gloss-only" in options:
        from gspmc_mm.descriptions import GLOSS_ONLY_NOTE

        bank = bank.noted(GLOSS_ONLY_NOTE)
    if "--center" in options:
        bank = bank.centered()
    for name, control in CONTROLS.items():
        if f"--{name}" in options:
            bank = control(bank, 0)
    return bank


KINDS = list(dict.fromkeys(recipe.options for recipe in BANKS.values()))


@pytest.mark.parametrize("made_with", KINDS)
@pytest.mark.parametrize("wanted", KINDS)
def test_a_bank_is_known_by_what_was_done_to_it(
    made_with: tuple[str, ...], wanted: tuple[str, ...], descriptions: DescriptionSet, tmp_path: Path
) -> None:
    from dataclasses import replace

    from gspmc_mm.descriptions import save_descriptions
    from gspmc_mm.evaluation.experiments.ablation_data import BankRecipe

    class Data:
        folder, encoder = tmp_path, "use-multilingual"

    save_descriptions(descriptions, tmp_path / "descriptions.json")
    bank = bank_of(made_with, descriptions)
    texts = gloss_only(descriptions) if "--gloss-only" in wanted else descriptions
    replace(bank, descriptions_sha256=texts.sha256).save(tmp_path / "bank.safetensors")
    if made_with == wanted:
        _check_bank(tmp_path / "bank.safetensors", Data, BankRecipe(options=wanted), "the command")
    else:
        with pytest.raises(ValueError, match=r"expected in a bank of this name: .*; make it with: the command"):
            _check_bank(tmp_path / "bank.safetensors", Data, BankRecipe(options=wanted), "the command")


def test_weights_from_a_file_are_the_same_encoder() -> None:
    paper = "open_clip:ViT-B-32-quickgelu/openai"
    assert _same_encoder(paper, paper)
    assert _same_encoder("open_clip:ViT-B-32-quickgelu/ViT-B-32.pt sha256:0123456789abcdef", paper)
    assert not _same_encoder("open_clip:ViT-L-14-quickgelu/x.pt sha256:0123456789abcdef", paper)
    assert not _same_encoder("use-multilingual", paper)
    assert _marks(("--shuffle", "3")) == ["texts shuffled among the signs (seed 3)"]
