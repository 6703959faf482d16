"""The figures of an experiment: OUT.png, OUT.svg, and in OUT.figure.json the numbers and where they come from.

    python tools/analysis/figures.py attention CONFIG CKPT [CONFIG2 CKPT2] --signs book --out OUT
    python tools/analysis/figures.py gain BASELINE GSPMC --descriptions DESC.json --out OUT
    python tools/analysis/figures.py confusion RUN --out OUT
    python tools/analysis/figures.py curves NAME=WORK_DIR ... --out OUT
    python tools/analysis/figures.py embedding CONFIG CKPT [CONFIG2 CKPT2] --out OUT
    python tools/analysis/figures.py severity robustness.json --out OUT

A RUN is a prediction file, or a folder WORK/VARIANT or WORK/VARIANT/seedS of tools/analysis/signer_folds.py (its folds
are pooled). `figures.py FIGURE --help` says what is drawn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Pictures, the numbers in them, fingerprints of what was read by path, and the seeds behind it.
Drawn = tuple[Sequence[Path], dict[str, Any], dict[str, str], list[int]]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures = parser.add_subparsers(dest="figure", required=True, metavar="FIGURE")

    def figure(name: str, function: Any, help: str, description: str) -> argparse.ArgumentParser:
        one = figures.add_parser(name, help=help, description=description)
        one.add_argument("--out", type=Path, required=True, help="picture without an ending")
        one.add_argument("--title", default="")
        one.set_defaults(draw=function)
        return one

    attention = figure(
        "attention",
        draw_attention_figure,
        "which joints a network looks at (Fig. 5)",
        "The mean over the test clips of some signs, or over given clips: the area of a dot is the response of a joint "
        "(length of its feature vector in the last map, 1 = mean of all joints), the width of a line the learned "
        "topology between two joints (absolute refined topology, mean over subsets and channels of a block). With two "
        "networks a third column is the second minus the first. One clip is drawn as it stands in its fullest frame, "
        "a mean on a resting pose.",
    )
    network_arguments(attention)
    what = attention.add_mutually_exclusive_group(required=True)
    what.add_argument("--signs", nargs="+", metavar="GLOSS", help="the mean over all test clips of these signs")
    what.add_argument("--clips", nargs="+", metavar="ID", help="the mean over these test clips")
    attention.add_argument("--block", type=int, default=-1, help="whose topology, -1: the last block")
    attention.add_argument("--strongest", type=int, default=25, metavar="N", help="lines drawn; default: %(default)s")

    gain = figure(
        "gain",
        draw_gain_figure,
        "which signs gain by the texts (Fig. 6)",
        "Signs with the largest gains and losses, the text of each and its lint score (errors and warnings that "
        "tools/gsp/lint.py finds in its texts, 0 is clean).",
    )
    gain.add_argument("first", metavar="RUN", help="the baseline")
    gain.add_argument("second", metavar="RUN2", help="with texts, on the same clips")
    gain.add_argument("--descriptions", required=True, help="description set, JSON")
    gain.add_argument("--kb", help="knowledge base: the texts are compared with its entries, as in tools/gsp/lint.py")
    gain.add_argument("--shown", type=int, default=8, metavar="N", help="signs of each end; default: %(default)s")

    confusion = figure(
        "confusion",
        draw_confusion_figure,
        "which signs are taken for which",
        "The whole matrix, and the signs of the most frequent confusions with their names. Seeds are added up.",
    )
    confusion.add_argument("run", metavar="RUN")
    confusion.add_argument("--block", type=int, default=20, metavar="N", help="signs with names; default: %(default)s")

    curves = figure("curves", draw_curves_figure, "training curves", "Training loss and validation accuracy.")
    curves.add_argument("runs", nargs="+", metavar="[NAME=]WORK_DIR")
    curves.add_argument("--loss", default="loss_cls", help="training scalar; default: %(default)s")
    curves.add_argument("--metric", default="top1", help="validation scalar; default: %(default)s")

    embedding = figure(
        "embedding",
        draw_embedding_figure,
        "clips and texts on a plane",
        "Global features of the test clips on a plane, for each network, and for one with texts the space that clips "
        "(dots) and global texts (stars) share; there both are centred by themselves, as all texts lie on one side. "
        "Beside the name: how often the nearest other clip by cosine, in the full space, is of the same sign.",
    )
    network_arguments(embedding)
    embedding.add_argument("--method", choices=("tsne", "umap", "pca"), default="tsne", help="default: %(default)s")
    embedding.add_argument("--signs", nargs="+", metavar="GLOSS", help="in colour; default: the ten with most clips")
    embedding.add_argument("--seed", type=int, default=0, help="of t-SNE and UMAP")

    severity = figure(
        "severity",
        draw_severity_figure,
        "accuracy against severity",
        "From the record of tools/analysis/robustness.py.",
    )
    severity.add_argument("record", type=Path, metavar="ROBUSTNESS.json")
    args = parser.parse_args(argv)
    if len(getattr(args, "networks", ())) % 2:
        parser.error("give pairs: CONFIG CKPT [CONFIG2 CKPT2 ...]")
    return args


def network_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names networks."""
    parser.add_argument("networks", nargs="+", metavar="CONFIG CKPT", help="pairs")
    parser.add_argument("--names", nargs="+", help="what the figure calls them; default: the names of the configs")
    parser.add_argument("--device", help="default: the GPU if any")
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="k=v", help="settings of all configs to override"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Draw; 0 when the figure was written."""
    args = parse_args(argv)
    try:
        pictures, numbers, data, seeds = args.draw(args)
        from gspmc_mm.evaluation.provenance import gather_provenance
        from gspmc_mm.files import write_json

        facts = gather_provenance(seed=seeds, data=data)
        record = write_json(f"{args.out}.figure.json", {"figure": args.figure, **numbers, "provenance": facts})
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    for path in (*pictures, record):
        print(f"wrote {path}")
    return 0


def load_networks(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str], list[int]]:
    """Networks by name, the fingerprints of what they were read from, and the seeds of their trainings.

    Raises:
        ValueError: Names that do not fit; see `load_trained`.
    """
    from gspmc_mm.evaluation.experiments.planning import parse_options
    from gspmc_mm.evaluation.inference import load_trained, read_config
    from gspmc_mm.evaluation.provenance import config_inputs

    pairs = list(zip(args.networks[::2], args.networks[1::2], strict=True))
    names = args.names or [Path(config).stem for config, _ in pairs]
    if len(names) != len(pairs) or len(set(names)) != len(names):
        raise ValueError(f"{len(pairs)} networks need as many different names, found {names}; give them with --names")
    networks, data, seeds = {}, {}, set()
    for name, (path, checkpoint) in zip(names, pairs, strict=True):
        config = read_config(path, parse_options(args.cfg_options))
        networks[name] = load_trained(config, checkpoint, args.device)
        head = config.model.cls_head.get("text_bank")
        data |= config_inputs({"test": config.test_dataloader.to_dict(), "weights": str(checkpoint), "texts": head})
        seeds |= set(seeds_of_training(Path(checkpoint).parent))
    return networks, data, sorted(seeds)


def seeds_of_training(work_dir: Path) -> list[int]:
    """The seed that `fold.json` names, else that of the config which the training wrote there; none if nobody says."""
    from gspmc_mm.evaluation.inference import read_config
    from gspmc_mm.evaluation.run_files import fold_record

    if (seed := fold_record(work_dir).get("identity", {}).get("seed")) is not None:
        return [seed]
    seeds = [(read_config(path).get("randomness") or {}).get("seed") for path in sorted(work_dir.glob("*.py"))]
    return [seed for seed in seeds if seed is not None]


def labels_of_signs(glosses: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Labels of glosses.

    Raises:
        ValueError: The data set has no names, or no such sign.
    """
    from gspmc_mm.skeleton.layout import suggest

    if not classes:
        raise ValueError("the test data set knows no names of signs; choose clips with --clips")
    for gloss in glosses:
        if gloss not in classes:
            raise ValueError(f"no sign {gloss!r} among the {len(classes)} of the data set{suggest(gloss, classes)}")
    return [classes.index(gloss) for gloss in glosses]


def draw_attention_figure(args: argparse.Namespace) -> Drawn:
    """Fig. 5."""
    import numpy as np

    from gspmc_mm.evaluation.attention import joint_attention
    from gspmc_mm.evaluation.inference import clip_loader
    from gspmc_mm.visualization.attention import draw_attention

    networks, data, seeds = load_networks(args)
    layouts = {name: trained.model.backbone.layout for name, trained in networks.items()}
    if len(set(layouts.values())) > 1:
        raise ValueError(
            f"the networks see different joints: {', '.join(f'{n}: {x.name}' for n, x in layouts.items())}"
        )
    layout = next(iter(layouts.values()))
    dataset = clip_loader(next(iter(networks.values())).config, []).dataset
    clips = args.clips
    if clips is None:
        wanted = set(labels_of_signs(args.signs, list(dataset.metainfo.get("classes") or ())))
        clips = [clip["clip_id"] for clip in dataset.load_data_list() if clip["label"] in wanted]
        if not clips:
            raise ValueError(f"the test split has no clip of {', '.join(args.signs)}")
    found = {name: joint_attention(trained, clips, args.block) for name, trained in networks.items()}
    points = fullest_frame(dataset, clips[0], layout) if len(clips) == 1 else None
    what = ", ".join(args.signs or clips)
    pictures = draw_attention(
        layout,
        {name: (one.nodes, one.between()) for name, one in found.items()},
        args.out,
        points=points,
        strongest=args.strongest,
        title=args.title or f"{what} ({len(clips)} clip{'s' * (len(clips) > 1)})",
    )
    numbers = {
        "clips": clips,
        "joints": list(layout.joint_names),
        "responses": {name: np.round(one.nodes, 4).tolist() for name, one in found.items()},
    }
    return pictures, numbers, data, seeds


def fullest_frame(dataset: Any, clip_id: str, layout: Any) -> Any:
    """Points (V, 2) of the frame of a clip in which most joints are seen; NaN where one is not."""
    import numpy as np

    from gspmc_mm.datasets.transforms import SelectKeypoints

    index = next(i for i, clip in enumerate(dataset.load_data_list()) if clip["clip_id"] == clip_id)
    clip = SelectKeypoints(layout=layout).transform(dataset.get_data_info(index))
    frame = int((clip["keypoint_score"][0] > 0).sum(axis=1).argmax())
    seen = clip["keypoint_score"][0, frame] > 0
    return np.where(seen[:, None], clip["keypoint"][0, frame, :, :2], np.nan)


def draw_gain_figure(args: argparse.Namespace) -> Drawn:
    """Fig. 6."""
    from dataclasses import asdict

    from gspmc_mm.descriptions import load_descriptions
    from gspmc_mm.evaluation.predictions import align
    from gspmc_mm.evaluation.provenance import fingerprint
    from gspmc_mm.evaluation.run_files import read_sources, seeds_of_all
    from gspmc_mm.gsp.knowledge.base import KnowledgeBase
    from gspmc_mm.gsp.lint import lint_descriptions
    from gspmc_mm.visualization.sign_gain import draw_sign_gain

    first, second = read_sources([args.first, args.second])
    seeds = seeds_of_all([first, second])
    named = {(source.name, seed): run for source in (first, second) for seed, run in source.pooled().items()}
    aligned = align({f"{name}, seed {seed}": run for (name, seed), run in named.items()})
    hits = {key: aligned[f"{key[0]}, seed {key[1]}"].hits(1) for key in named}
    any_run = next(iter(aligned.values()))
    descriptions = load_descriptions(args.descriptions)
    kb = KnowledgeBase.open(args.kb) if args.kb else None
    report = lint_descriptions(descriptions, kb=kb)
    glosses = [sign.gloss for sign in descriptions.signs]
    if any_run.classes and list(any_run.classes) != glosses:
        raise ValueError(
            f"{args.descriptions} describes {len(glosses)} signs ({glosses[0]} to {glosses[-1]}), the predictions are "
            f"of {len(any_run.classes)} ({any_run.classes[0]} to {any_run.classes[-1]}): not the same signs"
        )
    signs = sign_gains(
        report,
        any_run.label,
        [(hits[first.name, seed], hits[second.name, seed]) for seed in seeds],
    )
    pictures = draw_sign_gain(signs, args.out, shown=args.shown, first=first.name, second=second.name, title=args.title)
    numbers = {
        "seeds": seeds,
        "knowledge_base": args.kb,
        "signs": [{**asdict(sign), "gain": sign.gain} for sign in signs],
    }
    data = first.data | second.data | {args.descriptions: fingerprint(args.descriptions)}
    return pictures, numbers, data, seeds


def sign_gains(report: Any, labels: Any, pairs: Sequence[tuple[Any, Any]]) -> list:
    """Every sign that has a clip, won and lost clips averaged over pairs of hits (first, second)."""
    import numpy as np

    from gspmc_mm.visualization.sign_gain import SignGain

    won = np.mean([second & ~first for first, second in pairs], axis=0)
    lost = np.mean([first & ~second for first, second in pairs], axis=0)
    signs = []
    for entry in report.signs:
        mine = labels == entry.sign.label
        if mine.any():
            levels = [problem.level for problem in entry.problems]
            signs.append(
                SignGain(
                    sign=entry.sign.gloss,
                    text=entry.sign.global_text,
                    clips=int(mine.sum()),
                    won=float(won[mine].sum()),
                    lost=float(lost[mine].sum()),
                    errors=levels.count("error"),
                    warnings=levels.count("warning"),
                )
            )
    return signs


def draw_confusion_figure(args: argparse.Namespace) -> Drawn:
    """The confusion matrix."""
    from dataclasses import asdict

    from gspmc_mm.evaluation.confusion import confused_pairs, confusion_matrix
    from gspmc_mm.evaluation.run_files import read_source
    from gspmc_mm.visualization.confusion_matrix import draw_confusion

    source = read_source(args.run)
    runs = list(source.pooled().values())
    counts = sum(confusion_matrix(run.scores, run.label) for run in runs)
    classes = runs[0].classes or tuple(str(label) for label in range(runs[0].num_classes))
    added_up = f", {len(runs)} seeds added up" if len(runs) > 1 else ""
    pictures = draw_confusion(
        counts, classes, args.out, block=args.block, title=args.title or f"{source.name}{added_up}"
    )
    pairs = [asdict(pair) for pair in confused_pairs(counts, classes, both_ways=True, limit=50)]
    seeds = sorted(source.runs)
    return pictures, {"seeds": seeds, "confused_pairs": pairs}, source.data, seeds


def draw_curves_figure(args: argparse.Namespace) -> Drawn:
    """Training curves."""
    from gspmc_mm.evaluation.provenance import fingerprint
    from gspmc_mm.visualization.curves import draw_training_curves, scalar_files

    runs = {}
    for text in args.runs:
        name, equals, place = text.partition("=")
        name, place = (name, place) if equals else (Path(text).name, text)
        if name in runs:
            raise ValueError(f"two trainings are called {name}: name them, as in A={place}")
        runs[name] = place
    pictures = draw_training_curves(runs, args.out, title=args.title or None, loss=args.loss, metric=args.metric)
    places = [Path(place) for place in runs.values()]
    data = {str(path): fingerprint(path) for place in places for path in scalar_files(place)}
    seeds = sorted({seed for place in places for seed in seeds_of_training(place)})
    return pictures, {"runs": {name: str(place) for name, place in runs.items()}}, data, seeds


def draw_embedding_figure(args: argparse.Namespace) -> Drawn:
    """Clips and texts on a plane."""
    import numpy as np

    from gspmc_mm.evaluation.embeddings import clip_vectors, nearest_agreement
    from gspmc_mm.evaluation.inference import clip_loader
    from gspmc_mm.visualization.embedding import Plane, draw_embedding, to_plane

    networks, data, seeds = load_networks(args)
    dataset = clip_loader(next(iter(networks.values())).config, []).dataset
    classes = list(getattr(dataset, "metainfo", {}).get("classes") or ())
    planes, agreement, labels = {}, {}, None
    for name, trained in networks.items():
        found = clip_vectors(trained)
        labels = found.labels
        agreement[name] = nearest_agreement(found.features, labels)
        heading = f"{name}: clips\nnearest clip of the same sign {100 * agreement[name]:.0f} %"
        planes[heading] = Plane(to_plane(found.features, args.method, args.seed), labels)
        if found.texts is None:
            continue
        spaces = [found.projected, found.texts]
        centred = np.concatenate([vectors - vectors.mean(axis=0) for vectors in spaces])
        both = to_plane(centred, args.method, args.seed)
        cut = len(found.projected)
        agreement[f"{name}, space of the texts"] = share = nearest_agreement(found.projected, labels)
        heading = f"{name}: clips and texts (stars)\nnearest clip of the same sign {100 * share:.0f} %"
        planes[heading] = Plane(both[:cut], labels, both[cut:], found.text_labels)
    if args.signs:
        chosen = labels_of_signs(args.signs, classes)
    else:
        counts = np.bincount(labels)
        chosen = np.argsort(-counts, kind="stable")[:10].tolist()
    signs = {label: classes[label] if classes else str(label) for label in chosen}
    how = {"tsne": "t-SNE, cosine", "umap": "UMAP, cosine", "pca": "PCA"}[args.method]
    pictures = draw_embedding(planes, signs, args.out, title=args.title or f"{len(labels)} test clips, {how}")
    numbers = {"method": args.method, "seed": args.seed, "nearest_agreement": agreement, "signs": list(signs.values())}
    return pictures, numbers, data, seeds


def draw_severity_figure(args: argparse.Namespace) -> Drawn:
    """Accuracy against severity."""
    from severity_panels import severity_panels

    from gspmc_mm.evaluation.provenance import fingerprint
    from gspmc_mm.evaluation.results import RobustnessRecord, read_record
    from gspmc_mm.visualization.severity import draw_severity

    record = read_record(args.record)
    if not isinstance(record, RobustnessRecord):
        raise ValueError(
            f"{args.record} is a record of kind {record.kind}; expected one of tools/analysis/robustness.py"
        )
    pictures = draw_severity(severity_panels(record), args.out, title=args.title or f"{record.title}: {record.data}")
    seeds = record.provenance["seed"]  # one, several, or None where nobody recorded any
    seeds = list(seeds) if isinstance(seeds, list) else [seeds] * (seeds is not None)
    return pictures, {"record": str(args.record)}, {str(args.record): fingerprint(args.record)}, seeds


if __name__ == "__main__":
    sys.exit(main())
