"""Encode a description set into a text bank, once, with a frozen text encoder.

    python tools/gsp/encode.py DESCRIPTIONS.json --encoder use-multilingual --out BANK.safetensors

The exit status is 0 only if the bank was written.
"""

from __future__ import annotations

import argparse
import sys
import warnings


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Encode the texts of a description set into a text bank (safetensors)."
    )
    parser.add_argument("descriptions", help="description set, JSON (docs/descriptions.md)")
    parser.add_argument(
        "--encoder",
        default="open_clip:ViT-B-32-quickgelu/openai",
        help="open_clip:<model>/<pretrained tag or weight file>, or use-multilingual "
        "(offline, not CLIP); default: %(default)s, the paper's",
    )
    parser.add_argument("--out", required=True, help="the bank to write, BANK.safetensors")
    parser.add_argument("--device", help="torch device for open_clip; default: the GPU if any")
    parser.add_argument(
        "--center",
        action="store_true",
        help="subtract the mean vector of each term (the texts lie close together)",
    )
    controls = parser.add_argument_group("control experiments")
    controls = controls.add_mutually_exclusive_group()
    controls.add_argument(
        "--shuffle", type=int, metavar="SEED", help="give every sign the texts of another one (the control experiment)"
    )
    controls.add_argument(
        "--gloss-only", action="store_true", help="put the gloss of the sign in place of each of its texts"
    )
    controls.add_argument(
        "--rotate",
        type=int,
        metavar="SEED",
        help="turn all vectors by a random rotation: random vectors with the Gram matrix of the texts",
    )
    controls.add_argument(
        "--wrong-parts", type=int, metavar="SEED", help="give the texts of every part to another part"
    )
    return parser.parse_args()


def main() -> int:
    """Encode and report; 1 if nothing was written."""
    args = parse_args()
    # after the arguments are read: the package brings torch with it, --help does not need it
    from rich.console import Console
    from rich.table import Table

    from gspmc_mm.descriptions import (
        CONTROLS,
        GLOSS_ONLY_NOTE,
        LongTextWarning,
        build_text_bank,
        get_encoder,
        gloss_only,
        load_descriptions,
        long_texts,
    )

    console = Console()
    try:
        descriptions = load_descriptions(args.descriptions)
        if args.gloss_only:
            descriptions = gloss_only(descriptions)
        encoder = get_encoder(args.encoder, device=args.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LongTextWarning)  # reported below
            bank = build_text_bank(descriptions, encoder)
        if args.gloss_only:
            bank = bank.noted(GLOSS_ONLY_NOTE)
        if args.center:
            bank = bank.centered()
        for option, control in CONTROLS.items():
            seed = getattr(args, option.replace("-", "_"))
            if seed is not None:
                bank = control(bank, seed)
        too_long = long_texts(encoder, bank.texts)
        bank.save(args.out)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1

    table = Table(title=f"{descriptions.name} ({descriptions.language})")
    for heading in ("term", "rows", "distinct texts", "signs", "mean cosine between signs"):
        table.add_column(heading, justify="left" if heading == "term" else "right")
    for index, term in enumerate(bank.term_names):
        mine = bank.terms == index
        table.add_row(
            term,
            str(int(mine.sum())),
            str(bank.distinct_texts(term)),
            f"{len(set(bank.labels[mine].tolist()))}/{bank.num_classes}",
            f"{bank.mean_cosine(term):.3f}",
        )
    console.print(table)
    limit = "no limit" if encoder.max_tokens is None else f"{encoder.max_tokens} tokens"
    lines = [
        f"encoder: {bank.encoder}",
        f"note: {bank.note}" if bank.note else "note: CLIP text vectors",
        f"texts longer than the encoder reads ({limit}): {len(too_long)} of {len(bank.texts)}",
    ]
    if too_long:
        lines.append(
            f"  encoded sentence by sentence and averaged; the longest has {too_long[0][0]} tokens: {too_long[0][1]!r}"
        )
    lines.append(f"descriptions sha256: {bank.descriptions_sha256}")
    lines.append(f"wrote {args.out}: {len(bank)} rows of {bank.dim}")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
