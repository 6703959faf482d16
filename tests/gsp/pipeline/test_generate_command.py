"""tools/gsp/generate.py: what users and their scripts see."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gspmc_mm.descriptions import load_descriptions
from gspmc_mm.gsp.class_list import ClassListError, ClassRow, read_classes
from gspmc_mm.gsp.knowledge.base import build_knowledge_base


@pytest.fixture(scope="module")
def main(repository: Path) -> Callable[[], int]:
    spec = importlib.util.spec_from_file_location("generate_command", repository / "tools/gsp/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def command(main, knowledge_base, tmp_path, monkeypatch, capsys):
    """Run the command on three signs, the last of which no dictionary has; status, stdout, stderr."""
    classes = tmp_path / "classes.csv"
    classes.write_text("label,gloss,aliases\n0,word000,\n1,unknown,word001; other\n2,nowhere,\n")
    base = {"--kb": knowledge_base, "--classes": classes, "--language": "en", "--out": tmp_path / "signs.json"}

    def run(*arguments: str, **changed: object) -> tuple[int, str, str]:
        values = {**base, **{f"--{name.replace('_', '-')}": value for name, value in changed.items()}}
        line = [str(part) for pair in values.items() for part in pair]
        monkeypatch.setattr(sys, "argv", ["generate.py", *line, *arguments])
        status = main()
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def settings(tmp_path):
    def write(server, **values: object) -> Path:
        path = tmp_path / "llm.yaml"
        content = {"base_url": server.base_url, "model": "test-model", "concurrency": 2, "timeout": 5, **values}
        path.write_text(json.dumps(content))  # JSON is YAML
        return path

    return write


def test_help_needs_nothing_heavy(repository: Path) -> None:
    code = (
        f"import runpy, sys\nsys.argv = ['generate.py', '--help']\n"
        f"try:\n    runpy.run_path({str(repository / 'tools/gsp/generate.py')!r}, run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'torch', 'openai', 'pydantic', 'gspmc_mm'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for option in ("--llm", "--dry-run", "--max-cost", "--merge-steps", "--overrides"):
        assert option in done.stdout


def test_without_a_model(command, tmp_path) -> None:
    status, out, _ = command(llm="extractive")
    assert status == 0
    assert "extracted: 2 signs" in out
    assert "nowhere (2): not in the corpus: " in out
    written = load_descriptions(tmp_path / "signs.json")
    assert written.classes == ("word000", "unknown", "nowhere")
    assert "flat" in written.signs[0].global_
    assert written.signs[2].primary == "nowhere"
    assert written.model is None
    report = json.loads((tmp_path / "signs.gsp" / "report.json").read_text())
    assert report["sha256"] == written.sha256
    assert report["settings"]["corpus_hash"] == written.corpus_hash
    assert [sign["route"] for sign in report["signs"]] == ["exact", "alias", ""]


def test_without_a_model_texts_that_are_too_long_are_marked(command, tmp_path) -> None:
    status, out, err = command(llm="extractive", encoder="estimate", max_tokens=12)
    assert status == 0, err
    assert "signs with something for a human to look at: 3" in out
    signs = load_descriptions(tmp_path / "signs.json").signs
    marks = [text for text in signs[0].unresolved if text.startswith("not as asked: primary: description ")]
    assert len(marks) == 1
    assert "12" in marks[0]
    assert not any(text.startswith("not as asked") for text in signs[2].unresolved), "of a gloss nothing was asked"
    settings = json.loads((tmp_path / "signs.gsp" / "report.json").read_text())["settings"]
    assert (settings["encoder"], settings["max_tokens"]) == ("estimate", 12)
    command(llm="extractive")
    assert not any(sign.unresolved for sign in load_descriptions(tmp_path / "signs.json").signs[:2])


def test_without_a_model_an_encoder_that_does_not_exist_is_said(command, tmp_path) -> None:
    status, _, err = command(llm="extractive", encoder="nosuch")
    assert status == 1
    assert "nosuch" in err
    assert not (tmp_path / "signs.json").exists()


@pytest.mark.parametrize(
    "option",
    [
        ("--merge-steps",),
        ("--prompts", "nowhere"),
        ("--max-calls", "0"),
        ("--max-cost", "0"),
        ("--prices", "nowhere"),
        ("--cache", "nowhere"),
        ("--retry-failed",),
    ],
)
def test_options_of_a_model_are_refused_without_one(command, capsys, option) -> None:
    with pytest.raises(SystemExit) as end:
        command(*option, llm="extractive")
    assert end.value.code == 2
    assert f"{option[0]}: only for a language model" in capsys.readouterr().err


def test_rules_cannot_translate(command, tmp_path) -> None:
    status, _, err = command(llm="extractive", output_language="zh")
    assert status == 1
    assert err.startswith("error: --llm extractive takes sentences")
    assert not (tmp_path / "signs.json").exists()


def test_with_a_model_and_again(command, settings, faults, tmp_path) -> None:
    with faults.FaultServer() as server:
        llm = settings(server, price={"input": 1, "output": 2, "currency": "EUR", "as_of": "2026-02-03"})
        status, out, err = command(llm=llm, encoder="estimate")
        assert status == 0, err
        assert "generated: 2 signs" in out
        assert "calls: 9 sent, 0 taken from the record" in out
        assert "EUR by the price of 2026-02-03" in out
        requests = len(server.seen)
        status, out, _ = command(llm=llm, encoder="estimate")
        assert "calls: 0 sent, 8 taken from the record" in out
        assert len(server.seen) == requests
    written = load_descriptions(tmp_path / "signs.json")
    assert written.model == "test-model"
    assert written.prompt_hash
    assert len(written.signs[0].synonyms) == 4


def test_a_dry_run_prints_and_writes_nothing(command, settings, faults, tmp_path) -> None:
    with faults.FaultServer() as server:
        llm = settings(server, price={"input": 1, "output": 2, "as_of": "2026-02-03"})
        status, out, _ = command("--dry-run", llm=llm, encoder="estimate")
        assert status == 0
        assert "3 signs, 1 not in the corpus" in out
        assert "calls: 8 " in out
        assert "USD, by the price of 2026-02-03" in out
        assert server.seen == []
        assert sorted(path.name for path in tmp_path.iterdir()) == ["classes.csv", "llm.yaml"]
        status, out, _ = command("--dry-run", "--merge-steps", llm=llm, encoder="estimate")
        assert "calls: 4 " in out
        status, out, _ = command("--dry-run", llm=settings(server), encoder="estimate")
        assert "cost: unknown" in out


def test_max_calls_stops_cleanly_and_the_next_run_goes_on(command, settings, faults, tmp_path) -> None:
    with faults.FaultServer() as server:
        llm = settings(server)
        status, out, _ = command("--max-calls", "4", llm=llm, encoder="estimate")
        assert status == 1
        assert "stopped at --max-calls 4" in out
        assert len(server.seen) == 4
        assert not (tmp_path / "signs.json").exists(), "half a set never takes the place of a whole one"
        unfinished = load_descriptions(tmp_path / "signs.gsp" / "unfinished.json")
        assert any("not reached" in text for sign in unfinished.signs for text in sign.unresolved)
        status, _, _ = command(llm=llm, encoder="estimate")
        assert status == 0
        assert not server.answered_twice()
        assert not (tmp_path / "signs.gsp" / "unfinished.json").exists()


def test_max_cost_needs_a_price(command, settings, faults) -> None:
    with faults.FaultServer() as server:
        status, _, err = command("--max-cost", "1", llm=settings(server), encoder="estimate")
        assert status == 1
        assert "--max-cost needs the price of 'test-model'" in err
        assert server.seen == []


def test_failed_signs_are_named_and_can_be_asked_again(command, settings, faults) -> None:
    with faults.FaultServer(bad=1.0, faults=("refusal",)) as server:
        llm = settings(server)
        status, out, _ = command(llm=llm, encoder="estimate")
        assert status == 1
        assert "failed: 2 signs" in out
        assert "word000 (0): failed: p1_primary: the model refused" in out
        server.bad = 0.0
        assert command(llm=llm, encoder="estimate")[0] == 1
        status, out, _ = command("--retry-failed", llm=llm, encoder="estimate")
        assert status == 0
        assert "- word000" in out
        assert "+ The right hand is flat" in out


def test_a_model_that_does_not_exist(command, settings, faults, tmp_path) -> None:
    with faults.FaultServer(models=("other",)) as server:
        status, _, err = command(llm=settings(server), encoder="estimate")
        assert status == 1
        assert "no model 'test-model'" in err
        assert "models there: other" in err
        assert len(server.seen) == 1
    assert not (tmp_path / "signs.json").exists()


def test_settings_from_the_environment_and_a_key_that_stays_secret(
    command, faults, tmp_path, monkeypatch, capsys
) -> None:
    with faults.FaultServer(key="sk-secret-0815") as server:
        monkeypatch.setenv("GSPMC_LLM_BASE_URL", server.base_url)
        monkeypatch.setenv("GSPMC_LLM_MODEL", "test-model")
        monkeypatch.setenv("GSPMC_LLM_API_KEY", "sk-secret-0815")
        monkeypatch.setenv("OPENAI_LOG", "debug")
        status, out, err = command(llm="env", encoder="estimate")
        assert status == 0, err
    assert "0815" not in out + err
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"0815" not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("language", "headword", "text"),
    [
        ("zh", "家", "双手指尖相抵，搭成屋顶状。右手向前移动。"),
        ("tr", "ÇALIŞMAK", "İki el yumruk yapılır. Sağ el sol elin üzerine vurur."),
    ],
)
def test_chinese_and_turkish_with_and_without_a_model(
    command, settings, faults, tmp_path, language, headword, text
) -> None:
    source = tmp_path / "dictionary.csv"
    source.write_text(f'headword,text,language\n{headword},"{text}",{language}\n', encoding="utf-8")
    build_knowledge_base([source], tmp_path / "kb", embedder="none")
    classes = tmp_path / "own.csv"
    gloss = {"zh": "家", "tr": "çalışmak"}[language]
    classes.write_text(f"label,gloss\n0,{gloss}\n", encoding="utf-8")
    common = dict(kb=tmp_path / "kb", classes=classes, language=language, output_language=language)
    status, _, err = command(**common, llm="extractive", out=tmp_path / "rules.json")
    assert status == 0, err
    sign = load_descriptions(tmp_path / "rules.json").signs[0]
    assert sign.evidence[0].quote in text
    with faults.FaultServer() as server:
        out = tmp_path / "model.json"
        status, _, err = command(**common, llm=settings(server), encoder="estimate", synonyms=0, out=out)
        assert status == 0, err
        assert {"zh": "用中文", "tr": "Türkçe"}[language] in server.questions[0].messages
    assert load_descriptions(tmp_path / "model.json").language == language


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("gloss\nbook\n", "no column label"),
        ("", "no column label and no column gloss; found nothing"),
        ("label,gloss\n", "there is no sign"),
        ("label,gloss\n0,book\n0,you\n", "label 0 .* is there twice"),
        ("label,gloss\n0,book\n2,you\n", "label 2 .* comes where 1 was expected"),
        ("label,gloss\n0,book\nx,you\n", "line 3: found label 'x'"),
        ("label,gloss\n0, \n", "line 2: the gloss of label 0 is empty"),
        ("label,gloss\n0,book,a,b\n", "line 2: more fields than columns"),
    ],
)
def test_class_lists_that_cannot_be_used(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "classes.csv"
    path.write_text(content)
    with pytest.raises(ClassListError, match=rf"classes\.csv.*{problem}"):
        read_classes(path)


def test_a_class_list(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text('\ufefflabel, gloss,aliases\n1,you,\n0,"  thank  you ","thanks; ta"\n', encoding="utf-8")
    assert read_classes(path) == (ClassRow(0, "thank you", ("thanks", "ta")), ClassRow(1, "you"))
    with pytest.raises(FileNotFoundError, match=r"none\.csv does not exist"):
        read_classes(tmp_path / "none.csv")


def test_what_is_missing_is_named(command, tmp_path) -> None:
    for changed, problem in (
        ({"kb": tmp_path / "no_kb"}, "no_kb"),
        ({"classes": tmp_path / "none.csv"}, "class list"),
        ({"llm": tmp_path / "none.yaml"}, "none.yaml does not exist"),
        ({"language": "de"}, "--language de"),
        ({"overrides": tmp_path / "none.yaml"}, "override file"),
    ):
        status, _, err = command(**{"llm": "extractive", **changed})
        assert status == 1
        assert err.startswith("error: ")
        assert problem in err
