"""Show what a knowledge base has for a word, and why.

    python tools/gsp/query.py KB "爷爷（祖父）"
    python tools/gsp/query.py KB --flagged

The exit status is 0 if something was found.
"""

from __future__ import annotations

import argparse
import json
import sys


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Show what a knowledge base has for a word, and why.")
    parser.add_argument("kb", metavar="KB", help="folder of the knowledge base")
    parser.add_argument("text", nargs="?", help="a gloss, or any text")
    parser.add_argument("-k", type=int, default=5, help="how many entries; default: %(default)s")
    parser.add_argument("--language", help="only entries in this language")
    parser.add_argument("--kind", choices=("sign", "handshape"), help="only entries of this kind")
    parser.add_argument("--alias", action="append", default=[], help="another name of the sign; may be repeated")
    parser.add_argument("--flagged", action="store_true", help="list the entries that are flagged instead")
    parser.add_argument("--json", action="store_true", help="one JSON object per entry")
    args = parser.parse_args()
    if bool(args.text) == args.flagged:
        parser.error("give a text, or --flagged")
    if args.k < 1:
        parser.error(f"-k: found {args.k}, expected 1 or more")
    return args


def main() -> int:
    """Search and print; 1 if nothing was found."""
    args = parse_args()
    from rich.console import Console

    from gspmc_mm.gsp.knowledge.base import KnowledgeBase
    from gspmc_mm.gsp.knowledge.references import resolve_references
    from gspmc_mm.gsp.knowledge.retrieval import Retriever

    console = Console()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    try:
        kb = KnowledgeBase.open(args.kb)
        if args.flagged:
            flagged = [entry for entry in kb if entry.flags]
            for entry in flagged:
                if args.json:
                    print(entry.model_dump_json())
                else:
                    say(f"{entry.id}: {'; '.join(entry.flags)}")
            return 0 if flagged else 1
        hits = Retriever(kb).search(args.text, aliases=args.alias, k=args.k, language=args.language, kind=args.kind)
        for place, hit in enumerate(hits, start=1):
            entry, resolution = hit.entry, resolve_references(kb, hit.entry)
            if args.json:
                found = {"route": hit.route, "score": hit.score, "ranks": dict(hit.ranks), "scores": dict(hit.scores)}
                print(json.dumps({**found, "entry": entry.model_dump()}, ensure_ascii=False))
                continue
            why = ", ".join(f"rank {rank} by {name} ({hit.scores[name]:.3f})" for name, rank in hit.ranks.items())
            say(f"{place}. {entry.headword}  [{hit.route} {hit.score:.4f}: {why}]")
            origin = f"{entry.source}, page {entry.page}" if entry.page is not None else entry.source
            names = f"; also {', '.join(entry.aliases)}" if entry.aliases else ""
            say(f"   {entry.id} ({entry.language}, {entry.kind}, {origin}{names})")
            for variant in entry.variants:
                say(f"   - {variant}")
            for link in resolution.links:
                say(f"   {link.phrase!r} -> {link.entry or 'not found'}")
            for cycle in resolution.cycles:
                say(f"   references in a circle: {cycle}")
            for flag in entry.flags:
                say(f"   warning: {flag}")
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not hits:
        print(f"nothing found for {args.text!r}", file=sys.stderr)
    return 0 if hits else 1


if __name__ == "__main__":
    sys.exit(main())
