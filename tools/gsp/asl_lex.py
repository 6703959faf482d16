"""Describe signs in English from the expert codings of ASL-LEX 2.0 (CC BY-NC 4.0).

    python tools/gsp/asl_lex.py --source ../shared/data/asl_lex \
        --glosses-from data/wlasl100/poses.arrow --out data/wlasl100/descriptions.json

The exit status is 0 only if the description set was written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Description set from ASL-LEX codings by templates (CC BY-NC 4.0).")
    parser.add_argument(
        "--source",
        default="../shared/data/asl_lex",
        help="folder with signdata-2020-10-28.csv; default: %(default)s",
    )
    parser.add_argument(
        "--glosses-from",
        required=True,
        metavar="FILE",
        help="the signs by label: a pose store (.arrow) with class names, or a text file with one gloss a line",
    )
    parser.add_argument("--out", required=True, help="description set to write, JSON")
    parser.add_argument("--name", help="name of the set; default: from the file of the glosses")
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="keep signs that ASL-LEX does not have, with their gloss as their only text",
    )
    parser.add_argument(
        "--segments",
        choices=("parts", "attributes"),
        default="parts",
        help="a text for every part, or a sentence for every coded attribute with the parts it concerns, which "
        "many signs share (model.cls_head.positives=text makes their clips its positives); default: %(default)s",
    )
    return parser.parse_args()


def read_glosses(path: Path) -> list[str]:
    """Glosses by label from a pose store or a text file."""
    from gspmc_mm.poses import PoseStore

    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; --glosses-from names a store or text file")
    if path.is_dir() or path.suffix == ".arrow":
        classes = PoseStore(path).header.classes
        if not classes:
            raise ValueError(f"{path}: the store names no classes; give a text file of glosses")
        return list(classes)
    lines = path.read_text("utf-8-sig").splitlines()
    return [line.strip() for line in lines if line.strip()]


def main() -> int:
    """Describe and report; 1 if nothing was written."""
    args = parse_args()
    # after the arguments are read: --help does not need the package
    from gspmc_mm.descriptions import save_descriptions
    from gspmc_mm.gsp.asl_lex import build_descriptions, read_asl_lex

    path = Path(args.glosses_from)
    try:
        glosses = read_glosses(path)
        name = args.name or f"{path.resolve().parent.name}: {len(glosses)} signs from ASL-LEX 2.0"
        descriptions = build_descriptions(
            glosses,
            read_asl_lex(args.source),
            name=name,
            allow_missing=args.allow_missing,
            segments=args.segments,
        )
        save_descriptions(descriptions, args.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    signs = descriptions.signs
    print(f"{args.out}: {len(signs)} signs, sha256 {descriptions.sha256}")
    print(f"  {descriptions.generator}")
    for term, texts in (
        ("global", [sign.global_text for sign in signs]),
        ("synonyms", [text for sign in signs for text in sign.synonym_texts]),
        *((part, [t for s in signs for t in s.part_texts(part)]) for part in descriptions.parts),
    ):
        if texts:
            print(f"  {term}: {len(texts)} texts, {len(set(texts))} distinct")
    for sign in signs:
        for note in sign.unresolved:
            print(f"  unresolved, {sign.gloss}: {note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
