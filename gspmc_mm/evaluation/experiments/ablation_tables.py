"""The ablation tables: which configs stand in which table, and what the paper printed.

A line of a table is a config under `configs/`; `{data}` in it is the data set. Lines that are the same training in
several tables name the same config, so that it is run once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

BASELINE = "ctrgcn_{data}_j.py"
METHOD = "gspmc_{data}_j.py"
#: The variable that the configs under `configs/ablations/` read.
DATA_SET_VARIABLE = "GSPMC_DATA_SET"

_HANDS_ONLY = "wlasl100"
_NO_TEXTS = "bdsl55"
# Its own config has the weight of the texts fall to half along a cosine.
_FALLING_ANYWAY = "wlasl100"
# Its own configs leave the refinement of the topologies out.
_SHARED_ANYWAY = "wlasl100"
_NO_DESCRIPTIONS = "there are no descriptions of its signs"
_ONE_DICTIONARY = "its texts come from expert codings by templates; no language model wrote others"
# These have the 87 points in their own configs.
_ALREADY_87 = ("slr500", "autsl")


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        name: What the line is called.
        config: Path under `configs/`, or under `configs/ablations/` where it has no `{data}` in it.
        published: Top-1 in percent as the paper prints it (SLR-500, joint stream).
        elsewhere: Another config for some data sets, where the same training goes by another name.
        only: The data sets that can have this line; all if empty.
        not_on: Data sets that cannot, and why.
    """

    name: str
    config: str
    published: float | None = None
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    not_on: Mapping[str, str] = field(default_factory=dict)

    def path(self, data: str) -> str:
        """The config on a data set, relative to `configs/`."""
        config = self.elsewhere.get(data, self.config)
        return config.format(data=data) if "{data}" in config else f"ablations/{config}"

    @property
    def with_texts(self) -> bool:
        """Whether its config needs descriptions of the signs."""
        points_alone = self.config.startswith("key_points_") and not self.config.endswith("_multipart.py")
        return not (self.config == BASELINE or self.config.endswith("_no_texts.py") or points_alone)

    def reason_against(self, data: str) -> str | None:
        """Why a data set cannot have this line; None if it can; '' if the line is not meant for it."""
        if self.only and data not in self.only:
            return ""
        if data == _NO_TEXTS and self.with_texts:
            return _NO_DESCRIPTIONS
        return self.not_on.get(data)


@dataclass(frozen=True)
class AblationTable:
    """A table: the lines are compared with the first one.

    Attributes:
        name: What the command line calls it.
        title: Its heading.
        lines: In the order of the table.
        also_to: Lines that every line is compared with besides the first one.
    """

    name: str
    title: str
    lines: tuple[Line, ...]
    also_to: tuple[str, ...] = ()

    def lines_on(self, data: str) -> list[Line]:
        """The lines that a data set can have."""
        return [line for line in self.lines if line.reason_against(data) is None]

    def left_out(self, data: str) -> dict[str, str]:
        """Lines that a data set cannot have, with the reason."""
        reasons = {line.name: line.reason_against(data) for line in self.lines}
        return {name: reason for name, reason in reasons.items() if reason}

    def references(self, data: str) -> tuple[str, ...]:
        """The lines that every line is compared with on a data set."""
        names = [line.name for line in self.lines_on(data)]
        return (*names[:1], *(name for name in self.also_to if name in names[1:]))


_MULTIPART = {_HANDS_ONLY: "terms_multipart_hands.py"}
_GSPMC = Line("GSP-MC", METHOD)
_ENCODER = Line("visual encoder", BASELINE)


def _points(points: str, alone: float, multipart: float | None) -> tuple[Line, Line]:
    same = dict.fromkeys(_ALREADY_87 if points == "87" else (), BASELINE)
    same_parts = dict.fromkeys(_ALREADY_87 if points == "87" else (), "terms_multipart.py")
    hands = {_HANDS_ONLY: "it has hands only: see the lines of 20 and 42 points"}
    return (
        Line(f"{points}", f"key_points_{points}.py", alone, same, not_on=hands),
        Line(f"{points} + multipart", f"key_points_{points}_multipart.py", multipart, same_parts, not_on=hands),
    )


def _hands(points: str, alone: str, multipart: str) -> tuple[Line, Line]:
    return (
        Line(f"{points} (hands)", alone, only=(_HANDS_ONLY,)),
        Line(f"{points} (hands) + multipart", multipart, only=(_HANDS_ONLY,)),
    )


def _table(name: str, title: str, *lines: Line, also_to: tuple[str, ...] = ()) -> tuple[str, AblationTable]:
    return name, AblationTable(name, title, lines, also_to)


#: All tables by the name that `tools/analysis/ablate.py` knows them by.
TABLES: Mapping[str, AblationTable] = MappingProxyType(
    dict(
        (
            _table(
                "table4",
                "Table 4: what the texts are made of",
                Line("visual encoder", BASELINE, 93.85),
                Line("+ raw LLM texts", "texts_raw.py", 93.57, not_on={_HANDS_ONLY: _ONE_DICTIONARY}),
                Line("+ knowledge base", "texts_knowledge_base.py", 94.89, not_on={_HANDS_ONLY: _ONE_DICTIONARY}),
                Line("+ refined prompts", "terms_multipart.py", 95.25, _MULTIPART),
            ),
            _table(
                "table5",
                "Table 5: synonyms, prompt and multipart",
                Line("visual encoder", BASELINE, 93.85),
                Line("synonyms", "terms_synonym.py", 94.50),
                Line("prompt", "terms_prompt.py", 94.93),
                Line("multipart", "terms_multipart.py", 95.25, _MULTIPART),
                Line("synonyms + prompt", "terms_synonym_prompt.py", 95.38),
                Line("synonyms + prompt + multipart", METHOD, 95.81),
            ),
            _table(
                "table6",
                "Table 6: key points, without and with the texts of the parts",
                *_points("27", 93.46, 93.62),
                *_points("49", 93.66, 94.01),
                *_points("76", 93.57, 94.52),
                *_points("87", 93.85, 95.25),
                *_points("133", 59.22, None),
                *_hands("20", BASELINE, "terms_multipart_hands.py"),
                *_hands("42", "key_points_hands42.py", "key_points_hands42_multipart.py"),
            ),
            _table(
                "controls",
                "Controls: what of the texts matters",
                _ENCODER,
                _GSPMC,
                Line("shuffled among the signs", "control_shuffled.py"),
                Line("gloss only", "control_gloss.py"),
                Line("random, same Gram matrix", "control_rotated.py"),
                Line("texts of the wrong part", "control_wrong_parts.py"),
                also_to=(_GSPMC.name,),
            ),
            _table(
                "alpha",
                "Weight of the contrastive loss",
                Line("0.5 (the paper's)", METHOD),
                Line("0.1", "alpha_01.py"),
                Line("0.25", "alpha_025.py"),
                Line("1", "alpha_1.py"),
                Line("2", "alpha_2.py"),
            ),
            _table(
                "tau",
                "Temperature",
                Line("0.1 (the paper's)", METHOD),
                Line("0.05", "tau_005.py"),
                Line("0.2", "tau_02.py"),
                Line("0.5", "tau_05.py"),
                Line("learned from 0.1", "temperature_learned.py"),
            ),
            _table(
                "pairs",
                "Which texts a skeleton is compared with",
                Line("as in the paper", METHOD),
                Line("negatives: the whole bank", "negatives_bank.py"),
                Line("positives: by text", "positives_text.py"),
                Line("one positive a row", "target_hard.py"),
                Line("texts centred", "texts_centred.py"),
            ),
            _table(
                "pooling",
                "Pooling by confidence",
                _ENCODER,
                Line("visual encoder, by confidence", "pooling_confidence_no_texts.py"),
                _GSPMC,
                Line("GSP-MC, by confidence", "pooling_confidence.py"),
            ),
            _table(
                "topology",
                "Topologies of the graph convolution",
                Line("visual encoder, refined", BASELINE, elsewhere={_SHARED_ANYWAY: "topology_refined_no_texts.py"}),
                Line("visual encoder, shared", "topology_shared_no_texts.py", elsewhere={_SHARED_ANYWAY: BASELINE}),
                Line("GSP-MC, refined (the paper's)", METHOD, elsewhere={_SHARED_ANYWAY: "topology_refined.py"}),
                Line("GSP-MC, shared", "topology_shared.py", elsewhere={_SHARED_ANYWAY: METHOD}),
            ),
            _table(
                "text_encoder",
                "Text encoder",
                Line(
                    "CLIP ViT-B/32 (the paper's)",
                    "encoder_clip.py",
                    elsewhere={"slr500": METHOD, "autsl": METHOD},
                ),
                Line("multilingual CLIP", "encoder_multilingual_clip.py"),
                Line(
                    "universal sentence encoder",
                    "encoder_use.py",
                    elsewhere={"synthsign": METHOD, "wlasl100": METHOD},
                ),
            ),
            _table(
                "synonyms",
                "Number of synonyms of a sign",
                Line("all", METHOD),
                Line("1", "synonyms_1.py"),
                Line("2", "synonyms_2.py"),
            ),
            _table(
                "schedule",
                "Weight of the contrastive loss over the training",
                Line("constant (the paper's)", METHOD, elsewhere={_FALLING_ANYWAY: "schedule_constant.py"}),
                Line("falling to half, cosine", "schedule_half.py", elsewhere={_FALLING_ANYWAY: METHOD}),
                Line("falling to 0, cosine", "schedule_cosine.py"),
                Line("falling to 0, linear", "schedule_linear.py"),
            ),
            _table(
                "sign_groups",
                "Clips of a sign in a batch",
                _ENCODER,
                Line("visual encoder, 2 together", "sign_groups_2_no_texts.py"),
                _GSPMC,
                Line("GSP-MC, 2 together", "sign_groups_2.py"),
                Line("GSP-MC, 4 together", "sign_groups_4.py"),
            ),
        )
    )
)
