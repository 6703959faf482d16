"""docs/speed.md: the tables between its marks are written from the JSON files, so no number is typed by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gspmc_mm.evaluation.benchmarking.tables import sheets
from gspmc_mm.files import write_text

# Sections that are computed from the JSON of another one.
FROM = {"growth": "model", "capacity": "model"}
# Sections that a benchmark of another name fills, and what it is asked for.
ASKED = {
    "small": "model --joints 20 --frames 16 --batch 32 --threads 1 "
    "--contenders reference ours 'ours bf16' 'ours shared' 'ours shared bf16'"
}
FIGURE = "![Cost per clip against joints and frames, logarithmic axes](figures/speed.png)\n"
_MARK = re.compile(r"(<!-- speed:(\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page with the tables of every section whose JSON is there; other sections say that they are not measured.

    Args:
        page: Markdown with marks `<!-- speed:SECTION -->` ... `<!-- end -->`.
        results: JSON by section.

    Raises:
        ValueError: The page has no mark, or one of an unknown section.
    """

    def fill(match: re.Match[str]) -> str:
        section = match[2]
        source = FROM.get(section, section)
        if source not in results:
            asked = ASKED.get(source, source)
            text = f"Not measured yet: `python tools/benchmark.py {asked} --out docs/speed/{source}.json`\n"
        else:
            parts = [sheet.to_markdown() for sheet in sheets(section, results[source])]
            if not parts:
                parts = [f"Too few sizes measured yet: `python tools/benchmark.py {source}` takes several.\n"]
            elif section == "growth":
                parts.insert(0, FIGURE)
            text = "\n".join([*parts, made_by(results[source])])
        return match[1] + "\n" + text + "\n" + match[3]

    if not _MARK.search(page):
        raise ValueError("the page has no mark <!-- speed:SECTION --> ... <!-- end --> to fill")
    try:
        return _MARK.sub(fill, page)
    except KeyError as error:
        raise ValueError(f"the page names section {error}, or a JSON file lacks it") from error


def made_by(result: Mapping[str, Any]) -> str:
    """The line below a table: command, machine, versions."""
    facts = result["provenance"]
    versions, git = facts["versions"], facts["git"] or {}
    commit = f", commit {git['commit'][:9]}{' with changes' if git.get('modified') else ''}" if git else ""
    host = facts["host"]
    where = host["gpus"][0] if host["gpus"] and "cpu" not in result.get("device", "cpu") else host["cpu"]
    return f"`{facts['command']}` · {facts['time'][:10]} · {where} · PyTorch {versions['torch']}{commit}\n"


def fill_page(page: Path, folder: Path) -> list[str]:
    """Fill a page from the `SECTION.json` files of a folder; the sections that were found.

    Raises:
        FileNotFoundError: There is no such page.
        ValueError: See `filled`.
    """
    if not page.is_file():
        raise FileNotFoundError(f"no page {page} to fill")
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    write_text(page, filled(page.read_text(encoding="utf-8"), results))
    return list(results)
