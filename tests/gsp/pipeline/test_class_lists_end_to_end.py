"""The class lists of SLR-500, AUTSL and WLASL-100, from dictionaries to text banks."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.descriptions import TextBank, load_descriptions
from gspmc_mm.gsp.class_list import ClassRow
from gspmc_mm.gsp.client import LLMConfig
from gspmc_mm.gsp.knowledge.base import build_knowledge_base
from gspmc_mm.gsp.pipeline import EXTRACTIVE, generate

# In the style of the national lexicon (GF 0020-2018) and of the manual alphabet (GF 0021-2019); our own words.
CHINESE = """\
情况 qíngkuàng
一手食指、拇指张开，在胸前转动一圈。
前途 qiántú
（一）一手伸食指，指向前方。
（二）一手平伸，掌心向下，向前移动。
形势（局势） xíngshì
双手五指张开，掌心相对，在胸前上下移动两下。
"""
# In the style of the Turkish dictionary (MEB); our own words.
TURKISH = """\
ABLA
1. İŞARET
Sağ el yumruk yapılır, başparmak yanağa değer.
2. İŞARET
Sağ el açık, çenenin altında hareket eder.
ACELE (ÇABUK)
İki el göğüs hizasında hızla sallanır.
"""


def chinese_classes(labels: Path) -> list[ClassRow]:
    lines = (labels / "slr500/CSL/gloss_label.txt").read_text("utf-8-sig").split()
    return [ClassRow(label, gloss) for label, gloss in enumerate(lines)]


def turkish_classes(labels: Path) -> list[ClassRow]:
    with (labels / "autsl/AUTSL/SignList_ClassId_TR_EN.csv").open(encoding="utf-8-sig", newline="") as file:
        return [ClassRow(int(row["ClassId"]), row["TR"]) for row in csv.DictReader(file)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "profile", "text", "signs", "found"),
    [
        ("zh", "gf0020", CHINESE, 500, {"情况", "前途", "形势", "局势"}),
        ("tr", "meb", TURKISH, 226, {"abla", "acele"}),
    ],
)
def test_class_lists_of_the_data_sets(
    shared_data, faults, config, tmp_path, language, profile, text, signs, found
) -> None:
    source = tmp_path / "dictionary.txt"
    source.write_text(text, encoding="utf-8")
    build_knowledge_base([source], tmp_path / "kb", profile=profile, embedder="none")
    rows = {"zh": chinese_classes, "tr": turkish_classes}[language](shared_data / "labels")
    assert len(rows) == signs
    common = dict(language=language, output_language=language)
    rules = generate(tmp_path / "kb", rows, EXTRACTIVE, out=tmp_path / "rules.json", **common)
    assert {o.gloss for o in rules.outcomes if o.status == "extracted" and o.route in ("exact", "alias")} >= found
    assert len(rules.with_status("not in the corpus")) >= signs - 2 * len(found)
    written = load_descriptions(tmp_path / "rules.json")
    assert written.classes == tuple(row.gloss for row in rows)
    for sign in written.signs:
        assert all(item.quote in text.replace("\n", " ") or item.quote in text for item in sign.evidence)
        assert sign.evidence or sign.primary == sign.gloss, "nothing found, nothing invented"

    with faults.FaultServer() as server:
        report = generate(
            tmp_path / "kb", rows, config(server), out=tmp_path / "model.json", encoder="estimate", synonyms=0, **common
        )
        assert len(server.questions) <= 3 * 2 * (signs - len(report.with_status("not in the corpus")))
    assert {o.gloss for o in report.with_status("generated")} >= found
    assert len(report.with_status("not in the corpus")) == len(rules.with_status("not in the corpus"))


@pytest.mark.slow
def test_wlasl_from_expert_codings_to_a_text_bank(shared_data, faults, tmp_path, repository) -> None:
    def run(*command: object) -> None:
        done = subprocess.run(
            [sys.executable, *map(str, command)], cwd=repository, capture_output=True, text=True, timeout=500
        )
        assert done.returncode == 0, done.stderr

    names = np.load(shared_data / "wlasl100/wlasl100_hands.npz")["class_names"]
    classes, kb, out = tmp_path / "classes.csv", tmp_path / "kb", tmp_path / "signs.json"
    with classes.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("label", "gloss"), *enumerate(map(str, names))])
    codings = shared_data / "asl_lex/signdata-2020-10-28.csv"
    build_knowledge_base([codings], kb, profile="asl_lex", embedder="none")
    run(
        "tools/gsp/generate.py",
        "--kb",
        kb,
        "--classes",
        classes,
        "--llm",
        "extractive",
        "--language",
        "en",
        "--out",
        out,
    )
    run("tools/gsp/encode.py", out, "--encoder", "use-multilingual", "--out", tmp_path / "bank.safetensors")
    assert TextBank.load(tmp_path / "bank.safetensors").num_classes == 100
    signs = load_descriptions(out).signs
    assert all(sign.evidence and sign.part_texts("right_hand") for sign in signs)

    with faults.FaultServer() as server:
        settings = LLMConfig(base_url=server.base_url, model="test-model")
        rows = [ClassRow(label, str(name)) for label, name in enumerate(names[:10])]
        options = dict(language="en", output_language="en", encoder="estimate", merge_steps=True)
        report = generate(kb, rows, settings, out=tmp_path / "model.json", **options)
    assert len(report.with_status("generated")) == 10
