"""From a knowledge base and a class list to a description set: retrieve, write, check, keep what people wrote.

Beside the set `signs.json` lies a folder `signs.gsp/`: `calls.sqlite` with every call, `generated.json` with the set
as the machine wrote it (what differs from it was edited by a human), `report.json` with how it came about, and
`unfinished.json` after a run that was stopped.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from gspmc_mm.descriptions import DescriptionSet, SignDescription, load_descriptions, save_descriptions
from gspmc_mm.gsp.class_list import ClassListError, ClassRow, check_classes, read_classes
from gspmc_mm.gsp.client import Budget, CallCache, LimitReachedError, LLMClient, LLMConfig, Price, PriceTable, Spending
from gspmc_mm.gsp.extractive import describe_extractively
from gspmc_mm.gsp.generation_progress import GenerationProgress, NoProgress
from gspmc_mm.gsp.generation_report import GenerationReport, SignOutcome
from gspmc_mm.gsp.grounding import LANGUAGES
from gspmc_mm.gsp.knowledge.base import KnowledgeBase
from gspmc_mm.gsp.knowledge.references import Grounds, gather_grounds
from gspmc_mm.gsp.knowledge.retrieval import Retriever
from gspmc_mm.gsp.length_budget import CLIP_TOKENS, LengthBudget, default_encoder, installed_encoder
from gspmc_mm.gsp.overrides import SignOverride, changes_between, hand_edits, load_overrides, restored
from gspmc_mm.gsp.prompting import Prompts
from gspmc_mm.gsp.sign_writing import SignResult, SignWriter, Status, gloss_alone
from gspmc_mm.skeleton import PARTS

__all__ = [
    "EXTRACTIVE",
    "ClassListError",
    "ClassRow",
    "GenerationError",
    "GenerationReport",
    "generate",
    "read_classes",
]

EXTRACTIVE: Literal["extractive"] = "extractive"

Find = Callable[[ClassRow], Grounds]
Given = Mapping[int, SignOverride]


class GenerationError(ValueError):
    """Settings or an earlier output that cannot be used: says what was found and what to do."""


@dataclass(frozen=True)
class _Run:
    """Signs as they ended, by label, and what it took."""

    results: Mapping[int, SignResult]
    spent: Spending
    stopped: str = ""


@dataclass(frozen=True)
class _Earlier:
    """What lies at the output: the set as it is, as the machine wrote it, and what a human changed between the two."""

    current: DescriptionSet | None = None
    generated: DescriptionSet | None = None
    edits: Given = field(default_factory=dict)


def generate(
    kb: KnowledgeBase | str | os.PathLike[str],
    classes: Sequence[ClassRow],
    llm: Literal["extractive"] | LLMConfig,
    *,
    language: str,
    output_language: str,
    out: str | os.PathLike[str],
    name: str | None = None,
    overrides: str | os.PathLike[str] | None = None,
    discard_edits: bool = False,
    merge_steps: bool = False,
    synonyms: int = 4,
    entries: int = 3,
    prompts: str | os.PathLike[str] | None = None,
    encoder: str | None = None,
    max_tokens: int = CLIP_TOKENS,
    cache: str | os.PathLike[str] | None = None,
    max_calls: int | None = None,
    max_cost: float | None = None,
    prices: str | os.PathLike[str] | None = None,
    retry_failed: bool = False,
    dry_run: bool = False,
    progress: bool = False,
) -> GenerationReport:
    """Describe every sign of a class list.

    Args:
        kb: the knowledge base, or its folder.
        classes: the signs, labels 0, 1, ....
        llm: a language model, or `extractive` for texts taken from the entries by rules.
        language: of the glosses and of the entries that are looked for.
        output_language: of the texts; `extractive` cannot translate.
        out: the description set to write.
        name: what the set is called; the name of the file by default.
        overrides: texts written by hand, YAML or JSON (docs/generation.md).
        discard_edits: give up what was edited by hand in `out`.
        merge_steps: P2 to P4 in one call.
        synonyms: other wordings per sign.
        entries: how many entries are retrieved for a sign, apart from those that they refer to.
        prompts: a folder of prompts of your own; this, `merge_steps` and what follows on calls, cost and `cache` is for
            a language model only.
        encoder: whose tokens are counted; CLIP's for English texts, those of use-multilingual otherwise. Extractive
            texts are counted roughly where the package of that encoder is not installed.
        max_tokens: longest text in tokens of that encoder; longer ones are marked in `unresolved`.
        cache: where calls are recorded; beside `out` by default.
        max_calls: stop before more requests are sent.
        max_cost: stop before more is spent, in the currency of the model's price.
        prices: a price table of your own.
        retry_failed: ask again for what failed in an earlier run.
        dry_run: count calls, tokens and cost, and write nothing.
        progress: show a bar.

    Raises:
        FileNotFoundError: an input is not there.
        ValueError: an input cannot be used; the message names it.
        LLMError: the language model cannot be used; what it answered before is recorded.
    """
    out = Path(out)
    classes = check_classes(classes)
    _check_languages(llm, language, output_language)
    folder = out.with_suffix(".gsp")
    earlier = _read_earlier(out, folder, classes, discard_edits)
    given = dict(earlier.edits)
    if overrides is not None:
        for label, override in load_overrides(overrides, classes).items():
            given[label] = override.over(given.get(label))
    base = kb if isinstance(kb, KnowledgeBase) else KnowledgeBase.open(kb)
    retriever = Retriever(base)

    def find(row: ClassRow) -> Grounds:
        return gather_grounds(retriever, row.gloss, aliases=row.aliases, language=language, k=entries, label=row.label)

    price = None
    loaded = None
    # What an extractive text is too long for is only a mark; a model is told the length, so there it has to be right.
    count_with = default_encoder if isinstance(llm, LLMConfig) else installed_encoder
    counter = encoder or count_with(output_language)
    with GenerationProgress(len(classes)) if progress else NoProgress() as bar:
        if isinstance(llm, LLMConfig):
            loaded = Prompts.load(output_language, prompts)
            price = _price_of(llm, prices, max_cost)
            path = Path(cache) if cache is not None else folder / "calls.sqlite"
            # a dry run reads what is recorded, and leaves no file behind where nothing is
            with CallCache(path if path.exists() or not dry_run else ":memory:") as calls:
                budget = Budget(max_calls, max_cost, price)
                client = LLMClient(llm, calls, budget, retry_failed=retry_failed, dry_run=dry_run)
                lengths = LengthBudget(counter, max_tokens, calls)
                writer = SignWriter(client, loaded, lengths, output_language, PARTS, synonyms, merge_steps)
                run = asyncio.run(_write(client, writer, classes, find, given, bar))
        else:
            run = _extract(classes, find, given, output_language, synonyms, LengthBudget(counter, max_tokens), bar)

    report = GenerationReport(
        descriptions=None,
        outcomes=tuple(_outcome(run.results[row.label]) for row in classes),
        stopped=run.stopped,
        written=None,
        spent=run.spent,
        currency=price.currency if price else "",
        price_date=price.as_of.isoformat() if price else "",
        by_hand={label: given[label].fields for label in sorted(given) if given[label].fields},
    )
    if dry_run:
        return report

    steps = "P1, then P2 to P4 in one" if merge_steps else "P1 to P4"
    descriptions = DescriptionSet(
        name=name or out.stem,
        language=output_language,
        generator=f"language model, {steps}" if loaded else "extractive: sentences of the dictionary, by rules",
        model=llm.model if isinstance(llm, LLMConfig) else None,
        prompt_hash=loaded.sha256 if loaded else None,
        corpus_hash=base.corpus_hash,
        parts=PARTS,
        signs=tuple(run.results[row.label].description for row in classes),
    )
    report = replace(
        report,
        descriptions=descriptions,
        # a set that lacks signs never takes the place of one that is whole
        written=folder / "unfinished.json" if run.stopped else out,
        changes=tuple(changes_between(earlier.current, descriptions)) if earlier.current else (),
    )
    settings = {
        "knowledge_base": str(base.path),
        "corpus_hash": base.corpus_hash,
        "language": language,
        "output_language": output_language,
        "overrides": str(overrides) if overrides is not None else None,
        "entries": entries,
        "synonyms": synonyms,
        "encoder": counter,
        "max_tokens": max_tokens,
    }
    if loaded is not None and isinstance(llm, LLMConfig):
        settings |= {
            "base_url": llm.base_url,
            "model": llm.model,
            "parameters": llm.parameters,
            "structured": llm.structured,
            "prompt_language": loaded.language,
            "prompt_hash": loaded.sha256,
            "merge_steps": merge_steps,
        }
    _save(out, folder, earlier, report, settings)
    return report


async def _write(
    client: LLMClient, writer: SignWriter, classes: Sequence[ClassRow], find: Find, given: Given, bar: NoProgress
) -> _Run:
    """Every sign by the language model, as many at a time as the client may have calls."""
    results: dict[int, SignResult] = {}
    stopped: list[str] = []
    rows = iter(classes)  # shared: a worker takes the next sign when it is done with one

    async def work() -> None:
        for row in rows:
            if stopped:
                return
            try:
                results[row.label] = await writer.write(row, find(row), given.get(row.label))
            except LimitReachedError as error:
                stopped.append(str(error))
                return
            bar.advance(client.budget.spent, client.budget.price.currency if client.budget.price else "")

    async with client:
        workers = [asyncio.create_task(work()) for _ in range(min(client.config.concurrency, len(classes)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    reason = stopped[0] if stopped else ""
    for row in classes:
        if row.label not in results:
            sign = gloss_alone(row, f"failed: not reached, {reason}")
            results[row.label] = SignResult(sign, "not reached")
    return _Run(results, client.planned if client.dry_run else client.budget.spent, reason)


def _extract(
    classes: Sequence[ClassRow],
    find: Find,
    given: Given,
    output_language: str,
    synonyms: int,
    lengths: LengthBudget,
    bar: NoProgress,
) -> _Run:
    """Every sign by rules, from the words of the entries."""
    results = {}
    for row in classes:
        grounds = find(row)
        sign = describe_extractively(
            row.label, row.gloss, grounds, language=output_language, parts=PARTS, synonyms=synonyms
        )
        override = given.get(row.label)
        complete = override is not None and override.is_complete
        missing = any(note.startswith("not in the corpus: ") for note in sign.unresolved)
        status: Status = "by hand" if complete else "not in the corpus" if missing else "extracted"
        if not missing:
            marks = _too_long(sign, lengths, override.fields if override else ())
            sign = sign.model_copy(update={"unresolved": (*sign.unresolved, *marks)})
        results[row.label] = SignResult(override.applied_to(sign) if override else sign, status, grounds.route)
        bar.advance(Spending())
    return _Run(results, Spending())


def _too_long(sign: SignDescription, lengths: LengthBudget, by_hand: Sequence[str]) -> Iterator[str]:
    """Marks of the texts that are longer than the budget, but for what people wrote, as `SignWriter` leaves them."""
    texts = {
        "primary": [("description", sign.primary)],
        "global_": [("description", sign.global_)],
        "synonyms": [(f"variants[{i}]", text) for i, text in enumerate(sign.synonyms)],
        "segments": [(f"segments[{i}]", segment.text) for i, segment in enumerate(sign.segments)],
    }
    for field_name in (name for name in texts if name not in by_hand):
        for name, text in texts[field_name]:
            if text and (complaint := lengths.complaint(name, text)):
                yield f"not as asked: {field_name.rstrip('_')}: {complaint}"


def _check_languages(llm: Literal["extractive"] | LLMConfig, language: str, output_language: str) -> None:
    for option, code in (("--language", language), ("--output-language", output_language)):
        if code.split("-")[0] not in LANGUAGES:
            raise GenerationError(
                f"{option} {code}: only {', '.join(LANGUAGES)} can be checked against the dictionary, and what is "
                "not checked is not written"
            )
    if not isinstance(llm, LLMConfig) and language != output_language:
        raise GenerationError(
            f"--llm extractive takes sentences of the dictionary as they are and cannot translate: the entries are in "
            f"{language!r}, --output-language is {output_language!r}; take {language}, or a language model"
        )


def _price_of(llm: LLMConfig, prices: str | os.PathLike[str] | None, max_cost: float | None) -> Price | None:
    price = llm.price or PriceTable.load(prices).find(llm.model)
    if price is None and max_cost is not None:
        raise GenerationError(
            f"--max-cost needs the price of {llm.model!r}: write a block 'price:' into its YAML, or give a table "
            "with --prices"
        )
    return price


def _read_earlier(out: Path, folder: Path, classes: Sequence[ClassRow], discard_edits: bool) -> _Earlier:
    """The set of an earlier run and what a human has changed in it."""
    if not out.exists():
        return _Earlier()
    current = load_descriptions(out)
    if discard_edits:
        return _Earlier(current)
    # the second is there only if a run was killed between writing it and taking it over
    records = [path for path in (folder / "generated.json", folder / "generated.next.json") if path.is_file()]
    if not records:
        raise GenerationError(
            f"{out} is there already, and {folder} has no record of which texts a human wrote; name another file, or "
            "overwrite it with --discard-edits"
        )
    candidates = []
    for path in records:
        generated = load_descriptions(path)
        candidates.append((generated, hand_edits(current, generated, classes)))
    generated, edits = min(candidates, key=_number_of_edits)
    return _Earlier(current, generated, edits)


def _number_of_edits(candidate: tuple[DescriptionSet, Given]) -> int:
    return sum(len(edit.fields) for edit in candidate[1].values())


def _save(out: Path, folder: Path, earlier: _Earlier, report: GenerationReport, settings: Mapping[str, object]) -> None:
    assert report.descriptions is not None
    assert report.written is not None
    folder.mkdir(parents=True, exist_ok=True)
    report.save(folder / "report.json", settings)
    if report.stopped:
        save_descriptions(report.descriptions, report.written)
        return
    own = report.descriptions
    if earlier.generated is not None:
        own = restored(own, earlier.edits, earlier.generated)
    save_descriptions(own, folder / "generated.next.json")
    save_descriptions(report.descriptions, out)
    os.replace(folder / "generated.next.json", folder / "generated.json")
    (folder / "unfinished.json").unlink(missing_ok=True)


def _outcome(result: SignResult) -> SignOutcome:
    sign = result.description
    return SignOutcome(sign.label, sign.gloss, result.status, result.route, sign.unresolved)
