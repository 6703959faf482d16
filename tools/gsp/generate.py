"""Describe the signs of a class list from a knowledge base, with a language model or by rules.

    python tools/gsp/generate.py --kb KB --classes CLASSES.csv --llm extractive|LLM.yaml \
        --language zh|tr|en --output-language en --out DESC.json

Every call is recorded: the same command again goes on where it was stopped, and asks nothing twice. The exit status is
0 only if every sign has its texts or is listed as not in the corpus.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gspmc_mm.gsp.class_list import ClassRow
    from gspmc_mm.gsp.generation_report import GenerationReport

# Options that mean nothing where no model is asked.
_FOR_A_MODEL = ("merge_steps", "prompts", "max_calls", "max_cost", "prices", "cache", "retry_failed")
# How much of the diff the terminal shows; all of it is in report.json.
_SHOWN_CHANGES = 30
_SHOWN_SIGNS = 20


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Describe signs from a knowledge base (docs/generation.md).",
        epilog="LLM.yaml: base_url, model, api_key_env, parameters, concurrency, requests_per_minute, ...; "
        "'env' takes them from GSPMC_LLM_BASE_URL, GSPMC_LLM_MODEL and GSPMC_LLM_API_KEY.",
    )
    parser.add_argument("--kb", required=True, help="knowledge base, the folder that build_kb.py wrote")
    parser.add_argument(
        "--classes", required=True, help="the signs: CSV with label,gloss[,aliases], or a pose store (.arrow)"
    )
    parser.add_argument(
        "--llm",
        required=True,
        help="YAML of a language model behind the OpenAI protocol, 'env' (settings from the environment), or "
        "'extractive': sentences of the dictionary by rules, no model, no network",
    )
    parser.add_argument("--language", required=True, help="language of the glosses and the dictionary: zh, tr or en")
    parser.add_argument(
        "--output-language", default="en", help="language of the texts (CLIP reads English); default: %(default)s"
    )
    parser.add_argument("--out", required=True, help="description set to write, JSON")
    parser.add_argument("--name", help="what the set is called; default: the name of the file")
    texts = parser.add_argument_group("texts")
    texts.add_argument(
        "--synonyms", type=int, default=4, metavar="N", help="other wordings a sign; default: %(default)s"
    )
    texts.add_argument("--merge-steps", action="store_true", help="prompts P2 to P4 in one call: cheaper, less careful")
    texts.add_argument(
        "--entries", type=int, default=3, metavar="N", help="entries retrieved for a sign; default: %(default)s"
    )
    texts.add_argument("--prompts", metavar="FOLDER", help="prompts of your own, a folder per language; for a model")
    texts.add_argument(
        "--encoder",
        help="whose tokens limit the length: as for encode.py, or 'estimate'; default: CLIP's for English, else "
        "use-multilingual",
    )
    texts.add_argument(
        "--max-tokens", type=int, default=77, metavar="N", help="longest text in these tokens; default: %(default)s"
    )
    hand = parser.add_argument_group("texts by hand")
    hand.add_argument(
        "--overrides", metavar="FILE", help="texts written by people, YAML or JSON: they stay as they are"
    )
    hand.add_argument("--discard-edits", action="store_true", help="give up what was edited by hand in --out")
    limits = parser.add_argument_group("calls and cost", "for a language model only, but for --dry-run")
    limits.add_argument("--dry-run", action="store_true", help="print calls, tokens and cost to be expected, and end")
    limits.add_argument("--max-calls", type=int, metavar="N", help="stop before more requests are sent")
    limits.add_argument("--max-cost", type=float, metavar="COST", help="stop before more is spent")
    limits.add_argument("--prices", metavar="FILE", help="price table of your own, YAML")
    limits.add_argument("--cache", metavar="FILE", help="where calls are recorded; default: OUT.gsp/calls.sqlite")
    limits.add_argument("--retry-failed", action="store_true", help="ask again for the signs that failed before")
    args = parser.parse_args()
    # 0 is a limit too, so it is not enough to ask whether a value is false
    unused = [option for option in _FOR_A_MODEL if getattr(args, option) is not parser.get_default(option)]
    if args.llm == "extractive" and unused:
        names = ", ".join(f"--{option.replace('_', '-')}" for option in unused)
        parser.error(f"{names}: only for a language model, --llm extractive asks none")
    for option in ("synonyms", "max_calls"):
        if (getattr(args, option) or 0) < 0:
            parser.error(f"--{option.replace('_', '-')} is a number from 0")
    if args.entries < 1:
        parser.error("--entries is a number from 1")
    if args.max_cost is not None and not args.max_cost >= 0:
        parser.error("--max-cost is a number from 0")
    return args


def read_signs(path: Path) -> tuple[ClassRow, ...]:
    """Class rows from a CSV or a pose store."""
    from gspmc_mm.gsp.class_list import ClassListError, ClassRow, read_classes

    if path.suffix != ".arrow" and not path.is_dir():
        return read_classes(path)
    from gspmc_mm.poses import PoseStore

    names = PoseStore(path).header.classes
    if not names:
        raise ClassListError(f"{path}: the store names no classes; give a CSV with the columns label,gloss")
    return tuple(ClassRow(label, gloss) for label, gloss in enumerate(names))


def main() -> int:
    """Generate and report; 0 if nothing is left to do."""
    args = parse_args()
    # after the arguments are read: the package brings torch with it, --help does not need it
    from gspmc_mm.gsp.client import load_llm_config
    from gspmc_mm.gsp.pipeline import EXTRACTIVE, generate

    try:
        report = generate(
            args.kb,
            read_signs(Path(args.classes)),
            EXTRACTIVE if args.llm == EXTRACTIVE else load_llm_config(args.llm),
            language=args.language,
            output_language=args.output_language,
            out=args.out,
            name=args.name,
            overrides=args.overrides,
            discard_edits=args.discard_edits,
            merge_steps=args.merge_steps,
            synonyms=args.synonyms,
            entries=args.entries,
            prompts=args.prompts,
            encoder=args.encoder,
            max_tokens=args.max_tokens,
            cache=args.cache,
            max_calls=args.max_calls,
            max_cost=args.max_cost,
            prices=args.prices,
            retry_failed=args.retry_failed,
            dry_run=args.dry_run,
            progress=True,
        )
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was answered is recorded, the same command goes on from there", file=sys.stderr)
        return 130
    if args.dry_run:
        print_plan(report)
        return 0
    print_report(report)
    return 0 if report.complete else 1


def print_plan(report: GenerationReport) -> None:
    """What a run would take."""
    spent = report.spent
    print(f"{len(report.outcomes)} signs, {len(report.with_status('not in the corpus'))} not in the corpus")
    print(f"calls: {spent.calls} (one more to try the model; more where an answer has to be asked for again)")
    print(f"tokens: about {spent.prompt_tokens} read, {spent.completion_tokens} written")
    if report.currency:
        print(f"cost: about {spent.cost:.4f} {report.currency}, by the price of {report.price_date}")
    elif spent.calls:
        print("cost: unknown, no price for this model; write a block 'price:' into its YAML, or give --prices")


def print_report(report: GenerationReport) -> None:
    """How the signs went, what is left to people, what has changed."""
    for status in ("generated", "extracted", "by hand", "not in the corpus", "failed", "not reached"):
        outcomes = report.with_status(status)
        if outcomes:
            print(f"{status}: {len(outcomes)} signs")
        if status in ("not in the corpus", "failed"):
            for outcome in outcomes[:_SHOWN_SIGNS]:
                reasons = [text for text in outcome.unresolved if text.startswith(status)]
                print(f"  {outcome.gloss} ({outcome.label}): {'; '.join(reasons)}")
            if len(outcomes) > _SHOWN_SIGNS:
                print(f"  ... and {len(outcomes) - _SHOWN_SIGNS} more, all in report.json")
    marked = sum(1 for outcome in report.outcomes if outcome.unresolved)
    print(f"signs with something for a human to look at: {marked} (tools/gsp/lint.py lists it)")
    spent = report.spent
    if spent.calls or spent.recorded:
        cost = f", {spent.cost:.4f} {report.currency} by the price of {report.price_date}" if report.currency else ""
        tokens = f"{spent.prompt_tokens} tokens read, {spent.completion_tokens} written"
        print(f"calls: {spent.calls} sent, {spent.recorded} taken from the record; {tokens}{cost}")
    glosses = {outcome.label: outcome.gloss for outcome in report.outcomes}
    for label, fields in report.by_hand.items():
        print(f"kept by hand: {glosses[label]} ({label}): {', '.join(name.rstrip('_') for name in fields)}")
    for change in report.changes[:_SHOWN_CHANGES]:
        print("\n".join(change.lines()))
    if len(report.changes) > _SHOWN_CHANGES:
        print(f"... and {len(report.changes) - _SHOWN_CHANGES} more changes, all in report.json")
    if report.stopped:
        print(f"{report.stopped}; the same command without this limit goes on from here")
    if report.with_status("failed"):
        print("--retry-failed asks again for the signs that failed")
    print(f"wrote {report.written}")


if __name__ == "__main__":
    sys.exit(main())
