"""How much of what a text adds to its source is found: planted errors caught, correct paraphrases flagged.

    python tools/analysis/grounding_quality.py --out work_dirs/grounding_quality.json

The cases are written by hand (tests/gsp/grounding/cases_*.yaml): a short entry, correct paraphrases of it and texts
with one planted error, in Chinese, Turkish and English. The lexicons were tuned on the development half only. The exit
status is 0 if all cases were checked.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
CASES = REPOSITORY / "tests" / "gsp" / "grounding"
# Which findings name the error that was planted; a text of another sign may differ in anything.
KINDS_OF = {
    "wrong_hand": {"hand", "hand_count"},
    "wrong_place": {"place"},
    "handshape": {"handshape", "body_part"},
    "direction": {"direction"},
    "mouth": {"mouth"},
    "face": {"face"},
    "other_sign": {"hand", "hand_count", "place", "handshape", "body_part", "direction", "contact", "movement", "face"},
}
HALVES = ("development", "heldout")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Share of planted errors caught and of correct paraphrases flagged.")
    parser.add_argument("--cases", default=str(CASES), help="folder with cases_development.yaml and cases_heldout.yaml")
    parser.add_argument("--out", help="write figures and every case as JSON")
    parser.add_argument("--show", action="store_true", help="print the errors missed and the paraphrases flagged")
    return parser.parse_args()


def check_cases(path: Path) -> list[dict[str, Any]]:
    """Every text of a file of cases with what was found in it."""
    import yaml

    from gspmc_mm.gsp.grounding import check_claims

    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; --cases names the folder of the planted cases")
    cases = {case["name"]: case for case in yaml.safe_load(path.read_text("utf-8"))}
    checked = []
    for name, case in cases.items():
        texts = [("correct", language, text) for language, text in case["correct"]]
        for kind, language, text in case["errors"]:
            if kind == "other_sign":
                language, text = cases[text]["correct"][0]
            texts.append((kind, language, text))
        for kind, language, text in texts:
            findings = check_claims(text, [case["text"]], language=language, source_language=case["language"])
            checked.append(
                {
                    "case": name,
                    "kind": kind,
                    "source_language": case["language"],
                    "language": language,
                    "text": text,
                    "findings": [str(finding) for finding in findings],
                }
            )
    return checked


def shares(checked: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Number, number flagged and share with its 95 % Wilson interval, by kind and by pair of languages."""
    from gspmc_mm.evaluation import wilson_interval

    groups: dict[str, list[bool]] = defaultdict(list)
    for case in checked:
        flagged = bool(case["findings"])
        group = "correct" if case["kind"] == "correct" else "errors"
        groups[f"{group}: all"].append(flagged)
        if group == "errors":
            groups[f"errors: {case['kind']}"].append(flagged)
            named = {finding.partition(":")[0] for finding in case["findings"]} & KINDS_OF[case["kind"]]
            groups["errors: of the kind planted"].append(bool(named))
        same = case["source_language"] == case["language"]
        groups[f"{group}: {case['language']} text, entry in {'the same' if same else 'another'} language"].append(
            flagged
        )
    result = {}
    for name in sorted(groups, key=_order):
        flagged, number = sum(groups[name]), len(groups[name])
        low, high = wilson_interval(flagged, number)
        result[name] = {"number": number, "flagged": flagged, "share": flagged / number, "interval": [low, high]}
    return result


def _order(name: str) -> tuple[bool, bool, str]:
    return (not name.startswith("errors"), not name.endswith(": all"), name)


def main() -> int:
    """Measure and report; 1 if the cases could not be read."""
    args = parse_args()
    # after the arguments are read: the package brings torch with it, --help does not need it
    from rich.console import Console
    from rich.table import Table

    from gspmc_mm.evaluation.provenance import fingerprint, gather_provenance
    from gspmc_mm.files import write_json
    from gspmc_mm.gsp.grounding import lexicon

    console = Console()
    files = {half: Path(args.cases) / f"cases_{half}.yaml" for half in HALVES}
    try:
        checked = {half: check_cases(path) for half, path in files.items()}
        measured = {half: shares(cases) for half, cases in checked.items()}
    except (ValueError, OSError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    table = Table(title="texts with findings: of planted errors (caught), of correct paraphrases (wrongly flagged)")
    table.add_column("texts")
    for half in HALVES:
        table.add_column(half, justify="right")
        table.add_column("95 %", justify="right")
    for name in sorted({n for half in HALVES for n in measured[half]}, key=_order):
        cells = []
        for half in HALVES:
            value = measured[half].get(name)
            cells.append(f"{value['flagged']}/{value['number']} = {value['share']:.3f}" if value else "")
            cells.append("{:.2f} to {:.2f}".format(*value["interval"]) if value else "")
        table.add_row(name, *cells)
    console.print(table)
    if args.show:
        for half in HALVES:
            for case in checked[half]:
                if bool(case["findings"]) == (case["kind"] == "correct"):
                    text = f"{half}, {case['case']}, {case['kind']}: {case['text']} {case['findings']}"
                    console.print(text, markup=False, highlight=False, soft_wrap=True)
    if args.out:
        words = sorted(Path(lexicon.__file__).parent.glob("lexicons/*.yaml"))
        data = {str(path.relative_to(REPOSITORY)): fingerprint(path) for path in (*words, *files.values())}
        write_json(args.out, {"provenance": gather_provenance(data=data), "shares": measured, "cases": checked})
        console.print(f"wrote {args.out}", markup=False, highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
