"""What an ablation needs of a data set: its splits, its files, and the commands that make those files."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from mmengine.config import Config

from gspmc_mm.descriptions import GLOSS_ONLY_NOTE, TextBank, gloss_only, load_descriptions
from gspmc_mm.evaluation.experiments.planning import ExperimentError, inner_dataset

CLIP = "open_clip:ViT-B-32-quickgelu/openai"
MULTILINGUAL_CLIP = "open_clip:xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k"
USE = "use-multilingual"

STORE = "poses.arrow"
DESCRIPTIONS, RAW, UNREFINED = "descriptions.json", "descriptions_raw.json", "descriptions_kb.json"


@dataclass(frozen=True)
class AblationData:
    """A data set of the ablations; its files lie in `data/NAME/`.

    Attributes:
        encoder: Which text encoder its banks are made with.
        folds: Folds that are pooled; (0,) for one fixed split.
        train_split: Name of the training split, see `RunPlan`.
        test_split: Name of the split that is predicted.
        shared_signers: Whether the same signers are in training and in test.
        makers: Command of a file by its name, `{folder}` is the data folder; a file without one is the user's work.
        val_split: What the curves of the configs that validate are taken on.
        note: What a reader of its tables has to know.
        notes_on: The same of single tables.
        named: Files whose command is only named: it needs what this program cannot know.
    """

    name: str
    encoder: str
    folds: tuple[int, ...]
    train_split: str
    test_split: str
    makers: Mapping[str, str]
    named: frozenset[str] = frozenset()
    shared_signers: bool = False
    val_split: str | None = None
    note: str = ""
    notes_on: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its files lie, relative to the working directory as in the configs."""
        return Path("data") / self.name


@dataclass(frozen=True)
class BankRecipe:
    """How a text bank is made: of which descriptions, with which options of `tools/gsp/encode.py`."""

    descriptions: str = DESCRIPTIONS
    options: tuple[str, ...] = ()
    encoder: str | None = None


#: How the part of a bank's note begins that an option of `tools/gsp/encode.py` leaves there, `{}` is its seed.
_MARKS: Mapping[str, str] = MappingProxyType(
    {
        "--gloss-only": GLOSS_ONLY_NOTE,
        "--center": "centred: mean vector of each term subtracted",
        "--shuffle": "texts shuffled among the signs (seed {})",
        "--rotate": "rotated: random vectors with the Gram matrix of the texts (seed {})",
        "--wrong-parts": "part texts given to the wrong part (seed {})",
    }
)
# So begins the part of a note that is the encoder's own (`TextEncoder.note`; there is none for CLIP).
_ENCODERS_OWN = "not CLIP"

#: Recipe by the name of the file.
BANKS: Mapping[str, BankRecipe] = MappingProxyType(
    {
        "text_bank.safetensors": BankRecipe(),
        "text_bank_raw.safetensors": BankRecipe(RAW),
        "text_bank_kb.safetensors": BankRecipe(UNREFINED),
        "text_bank_shuffled.safetensors": BankRecipe(options=("--shuffle", "0")),
        "text_bank_gloss.safetensors": BankRecipe(options=("--gloss-only",)),
        "text_bank_rotated.safetensors": BankRecipe(options=("--rotate", "0")),
        "text_bank_wrong_parts.safetensors": BankRecipe(options=("--wrong-parts", "0")),
        "text_bank_centred.safetensors": BankRecipe(options=("--center",)),
        "text_bank_clip.safetensors": BankRecipe(encoder=CLIP),
        "text_bank_multilingual_clip.safetensors": BankRecipe(encoder=MULTILINGUAL_CLIP),
        "text_bank_use.safetensors": BankRecipe(encoder=USE),
    }
)

_GENERATE = (
    "python tools/gsp/generate.py --kb KB --classes CLASSES.csv --llm llm.yaml --language {language} --out {{folder}}/"
)


def _generated(language: str) -> dict[str, str]:
    command = _GENERATE.format(language=language)
    prompts = " (with the prompts of configs/ablations/prompts/README.md)"
    return {
        DESCRIPTIONS: f"{command}{DESCRIPTIONS}",
        RAW: f"{command}{RAW}{prompts}",
        UNREFINED: f"{command}{UNREFINED}{prompts}",
    }


_FALLING = (
    "On this data set the weight of the texts falls to half along a cosine in all lines (the ContrastScheduleHook of "
    "configs/gspmc_wlasl100_j.py), which is not the paper's: alpha is the weight at the beginning."
)
_SYNTHSIGN_TEXTS = "python tools/data/synthsign.py --signs {signs} --stand-ins {folder}"

#: The data sets by name.
DATA_SETS: Mapping[str, AblationData] = MappingProxyType(
    {
        data.name: data
        for data in (
            AblationData(
                "synthsign",
                encoder=USE,
                folds=(0,),
                train_split="train",
                test_split="test",
                val_split="val",
                makers={
                    STORE: "python tools/data/synthsign.py --out {folder}",
                    DESCRIPTIONS: "python tools/data/synthsign.py --out {folder}",
                    RAW: _SYNTHSIGN_TEXTS,
                    UNREFINED: _SYNTHSIGN_TEXTS,
                },
                note="SYNTHETIC signs, no real language.",
                notes_on={"table4": "Raw and unrefined texts are stand-ins by rules: no language model wrote them."},
            ),
            AblationData(
                "wlasl100",
                encoder=USE,
                folds=(0, 1, 2, 3, 4),
                train_split="fold{fold}_train",
                test_split="fold{fold}_test",
                makers={
                    STORE: "python tools/data/wlasl.py --out {folder}/poses.arrow",
                    DESCRIPTIONS: "python tools/gsp/asl_lex.py --glosses-from {folder}/poses.arrow "
                    "--out {folder}/descriptions.json",
                },
                note="Hands only; whole signers are held out in every fold.",
                notes_on=dict.fromkeys(("alpha", "tau", "pairs"), _FALLING),
            ),
            AblationData(
                "bdsl55",
                encoder=USE,
                folds=(0,),
                train_split="train",
                test_split="test",
                val_split="val",
                makers={
                    STORE: "python tools/data/import_poses.py ../shared/data/bdsl55/bdsl55.npz --format npz "
                    "--out {folder}/poses.arrow"
                },
                shared_signers=True,
                note="The authors' split: both signers are in training and in test, so this says nothing about "
                "signers that were not seen.",
            ),
            AblationData(
                "slr500",
                encoder=CLIP,
                folds=(0,),
                train_split="gsp35_train",
                test_split="gsp35_test",
                makers={
                    STORE: "python tools/data/slr500.py --help (clip list), then python tools/pose/extract.py",
                    **_generated("zh"),
                },
                named=frozenset((STORE, DESCRIPTIONS, RAW, UNREFINED)),
            ),
            AblationData(
                "autsl",
                encoder=CLIP,
                folds=(0,),
                train_split="train",
                test_split="test",
                makers={
                    STORE: "python tools/data/autsl.py --help (clip list), then python tools/pose/extract.py",
                    **_generated("tr"),
                },
                val_split="val",
                named=frozenset((STORE, DESCRIPTIONS, RAW, UNREFINED)),
            ),
        )
    }
)


def files_of(config: Config, data: AblationData) -> list[Path]:
    """The files of a data set that a config names: its store and, where there are texts, its bank."""
    named = (inner_dataset(config, "train_dataloader")[1].get("ann_file"), config.model.cls_head.get("text_bank"))
    known = {data.folder / name for name in (STORE, *BANKS)}
    return [Path(name) for name in named if name is not None and Path(name) in known]


def prepare(
    paths: Sequence[Path], data: AblationData, repository: Path, say: Callable[[str], object] = print
) -> dict[Path, str]:
    """Make the files that are not there, and what they are made of; check the banks that are.

    Args:
        paths: From `files_of`.
        data: Their data set.
        repository: Where `tools/` is.
        say: Called with every command that is run.

    Returns:
        What is wrong with a file, for those that could not be made; a later file does not depend on them.
    """
    problems = {}
    for path in dict.fromkeys(paths):
        try:
            _prepare_one(path, data, repository, say)
        except (ExperimentError, OSError, ValueError) as error:
            problems[path] = str(error)
    return problems


def _prepare_one(path: Path, data: AblationData, repository: Path, say: Callable[[str], object]) -> None:
    """Make one file, or refuse it.

    Raises:
        ExperimentError: It cannot be made, or it is a bank of other texts, another encoder or another control.
    """
    recipe = BANKS.get(path.name)
    if recipe is not None:
        _prepare_one(data.folder / recipe.descriptions, data, repository, say)
    command = _command_for(path, data, recipe)
    if path.exists():
        if recipe is not None:
            _check_bank(path, data, recipe, command)
        return
    if path.name in data.named or not command:
        raise ExperimentError(f"{path} is not there; make it with: {command or 'see docs/own_data.md'}")
    words = shlex.split(command)
    say(command)
    done = subprocess.run(
        [sys.executable, str(repository / words[1]), *words[2:]], capture_output=True, text=True, check=False
    )
    if done.returncode != 0 or not path.exists():
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ExperimentError(f"{path} could not be made by {command}: {' '.join(said[-1:]) or 'it said nothing'}")


def _command_for(path: Path, data: AblationData, recipe: BankRecipe | None) -> str:
    """The command that makes a file, as a user would type it in the checkout; '' if there is none."""
    if recipe is None:
        command = data.makers.get(path.name, "")
        signs = _number_of_signs(data) if "{signs}" in command else ""
        return command.format(folder=data.folder, signs=signs)
    words = ["python", "tools/gsp/encode.py", str(data.folder / recipe.descriptions)]
    words += ["--encoder", recipe.encoder or data.encoder, *recipe.options, "--out", str(path)]
    return shlex.join(words)


def _number_of_signs(data: AblationData) -> int:
    from gspmc_mm.poses import PoseStore

    return len(PoseStore(data.folder / STORE).header.classes or ())


def _check_bank(path: Path, data: AblationData, recipe: BankRecipe, command: str) -> None:
    """Refuse a bank that is not what its name promises.

    Raises:
        ExperimentError: Other descriptions than lie beside it, another encoder, or not done to it what the recipe says.
    """
    descriptions = data.folder / recipe.descriptions
    texts = load_descriptions(descriptions)
    if "--gloss-only" in recipe.options:
        texts = gloss_only(texts)
    info = TextBank.read_info(path)
    if info["descriptions_sha256"] != texts.sha256:
        raise ExperimentError(f"{path} was encoded from other texts than {descriptions} holds now; again: {command}")
    encoder = recipe.encoder or data.encoder
    if not _same_encoder(info["encoder"], encoder):
        raise ExperimentError(
            f"{path} was encoded with {info['encoder']}, expected {encoder} in a bank of this name; make it with: "
            f"{command}"
        )
    found = [part for part in info["note"].split("; ") if part and not part.startswith(_ENCODERS_OWN)]
    expected = _marks(recipe.options)
    if len(found) != len(expected) or not all(map(str.startswith, found, expected)):
        raise ExperimentError(
            f"{path} says of its vectors: {'; '.join(found) or 'as the encoder gave them'}; expected in a bank of this "
            f"name: {'; '.join(expected) or 'as the encoder gave them'}; make it with: {command}"
        )


def _same_encoder(found: str, expected: str) -> bool:
    """Whether a bank's encoder is the one of a recipe; weights from a file count, the bank holds their hash."""
    return found == expected or (found.startswith(expected.rpartition("/")[0] + "/") and " sha256:" in found)


def _marks(options: Sequence[str]) -> list[str]:
    """What these options of `tools/gsp/encode.py` leave in the note of a bank."""
    return [
        _MARKS[option].format(*options[number + 1 : number + 2])
        for number, option in enumerate(options)
        if option in _MARKS
    ]
