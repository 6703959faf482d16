from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from gspmc_mm.datasets.synthsign import (
    HARD_PAIRS,
    SIGNS,
    describe_all,
    dictionary_descriptions,
    differing_parameters,
    ungrounded_descriptions,
)
from gspmc_mm.datasets.synthsign.stand_ins import made_up
from gspmc_mm.descriptions import DescriptionSet, load_descriptions

TRUE = describe_all(SIGNS)


@pytest.mark.parametrize("texts", [ungrounded_descriptions(SIGNS), dictionary_descriptions(SIGNS)])
def test_stand_ins_say_what_they_are_and_fit_the_true_set(texts):
    assert "stand-in by rules" in texts.generator
    assert "no language model" in texts.generator
    assert "SYNTHETIC" in texts.generator
    assert texts.classes == TRUE.classes
    assert texts == DescriptionSet.model_validate(texts.to_json())
    for sign, true in zip(texts.signs, TRUE.signs, strict=True):
        # Nothing refined and no paraphrase: the primary text stands in for both.
        assert sign.global_ == ""
        assert sign.synonyms == ()
        assert sign.primary != true.primary


@pytest.mark.parametrize("seed", range(5))
def test_ungrounded_texts_get_about_a_third_wrong(seed):
    guessed = [made_up(sign, np.random.default_rng([seed, label])) for label, sign in enumerate(SIGNS)]
    wrong = [differing_parameters(sign, guess) for sign, guess in zip(SIGNS, guessed, strict=True)]
    assert 1 < np.mean([len(parameters) for parameters in wrong]) < 3
    assert sum(bool(parameters) for parameters in wrong) > 0.6 * len(SIGNS)
    assert all(set(parameters) <= {"handshape", "location", "movement", "orientation", "mouth", "brows", "eyes", "head"}
               for parameters in wrong)  # fmt: skip


def test_ungrounded_texts_depend_on_seed_and_label_only():
    assert ungrounded_descriptions(SIGNS[:7], 1).signs == ungrounded_descriptions(SIGNS, 1).signs[:7]
    assert ungrounded_descriptions(SIGNS, 1).signs != ungrounded_descriptions(SIGNS, 2).signs


def test_dictionary_texts_are_right_but_refer_to_other_signs():
    texts = {sign.gloss: sign for sign in dictionary_descriptions(SIGNS).signs}
    true = {sign.gloss: sign for sign in TRUE.signs}
    origins = {pair.second: pair.first for pair in HARD_PAIRS}
    for gloss, sign in texts.items():
        reference = f"As in the sign {origins.get(gloss)}."
        for segment, original in zip(sign.segments, true[gloss].segments, strict=True):
            assert segment.parts == original.parts
            assert segment.text in (original.text, reference)
        referring = [segment for segment in sign.segments if segment.text == reference]
        assert bool(referring) == (gloss in origins)
        assert "Meaning:" in sign.primary
        assert (f"Like the sign {origins.get(gloss)}, but:" in sign.primary) == (gloss in origins)
    # What is new stands in the text, what is known does not.
    assert "chin" in texts["SYN-BALO-02"].primary
    assert "one-handed" not in texts["SYN-BALO-02"].primary


def test_tool_writes_both(repository, tmp_path, capsys):
    path = repository / "tools" / "data" / "synthsign.py"
    spec = importlib.util.spec_from_file_location("synthsign_tool_for_stand_ins", path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.main(["--signs", "6", "--stand-ins", str(tmp_path)]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["descriptions_kb.json", "descriptions_raw.json"]
    assert load_descriptions(tmp_path / "descriptions_raw.json") == ungrounded_descriptions(SIGNS[:6], 0)
    assert load_descriptions(tmp_path / "descriptions_kb.json") == dictionary_descriptions(SIGNS[:6])
    assert "descriptions_raw.json" in capsys.readouterr().out
