"""One sign through the prompts P1 to P4: ask, check every word against the dictionary, send back once, mark what stays.

T_p is written from the entries (P1), T_g is T_p refined with the entries (P3), T_s are other wordings of T_g (P2), and
the segments are T_g taken apart (P4), so that what P3 has resolved reaches them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from gspmc_mm.descriptions import Evidence, Segment, SignDescription
from gspmc_mm.gsp.class_list import ClassRow
from gspmc_mm.gsp.client import Answer, AskError, Question
from gspmc_mm.gsp.grounding import check_claims, check_quotes, compare_texts
from gspmc_mm.gsp.knowledge.entries import Entry
from gspmc_mm.gsp.knowledge.references import Grounds
from gspmc_mm.gsp.length_budget import LengthBudget
from gspmc_mm.gsp.overrides import SignOverride
from gspmc_mm.gsp.prompting import P1, P2, P3, P4, P234, PromptEntry, PromptLink, Prompts
from gspmc_mm.gsp.replies import (
    DescriptionReply,
    MergedReply,
    PartSegment,
    Quote,
    ReplyRules,
    SegmentsReply,
    VariantsReply,
    distinct_variants,
    named_texts,
)

Status = Literal["generated", "extracted", "by hand", "not in the corpus", "failed", "not reached"]
# What the answers usually take, in multiples of a text's budget; for the plan of a run.
_EVIDENCE_TOKENS = 150

AnyReply = TypeVar("AnyReply", DescriptionReply, VariantsReply, SegmentsReply, MergedReply)


class Asker(Protocol):
    """What answers questions: `LLMClient`."""

    def ask(self, question: Question) -> Awaitable[Answer]:
        """A usable answer; raises AskError where there is none."""
        ...


@dataclass(frozen=True)
class SignResult:
    """A sign and how it went."""

    description: SignDescription
    status: Status
    route: str = ""


@dataclass
class _Draft:
    """A sign while it is being written."""

    row: ClassRow
    grounds: Grounds
    given: SignOverride
    entries: Mapping[str, Entry]  # by the short names of the prompt
    primary: str = ""
    refined: str = ""
    synonyms: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    evidence: dict[Evidence, None] = field(default_factory=dict)
    marks: dict[str, None] = field(default_factory=dict)
    planned: bool = False

    @property
    def text(self) -> str:
        """What synonyms and segments are made of."""
        return self.refined or self.primary

    def mark(self, prefix: str, *texts: str) -> None:
        """Leave something for a human to look at."""
        self.marks.update(dict.fromkeys(f"{prefix}: {text}" for text in texts))


@dataclass(frozen=True)
class SignWriter:
    """Writes signs with a language model.

    Attributes:
        asker: the client.
        prompts: P1 to P4.
        budget: length of each text.
        language: of the texts.
        parts: that segments may name.
        synonyms: how many other wordings of a sign are wanted; 0: none.
        merge_steps: P2 to P4 in one call.
    """

    asker: Asker
    prompts: Prompts
    budget: LengthBudget
    language: str
    parts: tuple[str, ...]
    synonyms: int = 4
    merge_steps: bool = False

    async def write(self, row: ClassRow, grounds: Grounds, given: SignOverride | None = None) -> SignResult:
        """The texts of one sign.

        Args:
            row: the sign.
            grounds: what the dictionary says; nothing found means nothing written.
            given: what a human has written, which is taken as it is and built upon.

        Raises:
            LLMError: the endpoint cannot be used, or the budget of the run is used up. What is wrong with this sign
                alone is marked in its `unresolved`.
        """
        given = given or SignOverride()
        entries = {f"E{number}": entry for number, entry in enumerate(grounds.entries, start=1)}
        draft = _Draft(row, grounds, given, entries)
        for mark in notes_on(grounds):
            draft.marks[mark] = None
        if not entries and given.primary is None and given.global_ is None:
            return SignResult(given.applied_to(gloss_alone(row)), "not in the corpus")
        try:
            await self._write_texts(draft)
        except AskError as error:
            draft.mark("failed", str(error))
        failed = any(mark.startswith("failed: ") for mark in draft.marks)
        status: Status = "failed" if failed else "by hand" if given.is_complete else "generated"
        description = SignDescription(
            label=row.label,
            gloss=row.gloss,
            primary=draft.primary or row.gloss,
            global_=draft.refined,
            synonyms=distinct_variants(draft.synonyms, draft.primary),
            segments=draft.segments,
            evidence=tuple(draft.evidence),
            unresolved=tuple(draft.marks),
        )
        return SignResult(given.applied_to(description), status, grounds.route)

    async def _write_texts(self, draft: _Draft) -> None:
        """T_p and T_g have to be there for what follows; synonyms and segments fail each for itself."""
        given = draft.given
        draft.primary = given.primary or (await self._describe(draft, P1, "primary") if draft.entries else "")
        draft.primary = draft.primary or given.global_ or ""
        if self.merge_steps and draft.entries and not given.model_fields_set & {"global_", "synonyms", "segments"}:
            return await self._merged(draft)
        if given.global_ is not None:
            draft.refined = given.global_
        elif draft.entries:
            draft.refined = await self._describe(draft, P3, "global")
        for step, field_name, write in (
            (P2, "synonyms", self._write_synonyms),
            (P4, "segments", self._write_segments),
        ):
            value = getattr(given, field_name)
            if value is not None:
                setattr(draft, field_name, value)
                continue
            try:
                await write(draft)
            except AskError as error:
                draft.mark("failed", f"{step}: {error}")
        return None

    async def _describe(self, draft: _Draft, step: str, field_name: str) -> str:
        """A description with its evidence, by P1 or P3."""
        rules = self._rules(draft)
        question = self._question(draft, step)
        try:
            reply = await self._supported(
                draft, step, question, DescriptionReply, rules, field_name, self._description_check(draft)
            )
        except AskError as error:
            raise AskError(f"{step}: {error}") from None
        if reply is None:
            return self._stand_in
        self._keep_evidence(draft, reply.evidence)
        return reply.description

    async def _write_synonyms(self, draft: _Draft) -> None:
        if not self.synonyms:
            return
        rules = self._rules(draft, variants=self.synonyms, original=draft.text)

        def check(reply: VariantsReply) -> list[str]:
            return self._differences(named_texts(reply), draft.text)

        reply = await self._supported(draft, P2, self._question(draft, P2), VariantsReply, rules, "synonyms", check)
        if reply is not None:
            draft.synonyms = distinct_variants(reply.variants, draft.text)[: self.synonyms]

    async def _write_segments(self, draft: _Draft) -> None:
        def check(reply: SegmentsReply) -> list[str]:
            return self._differences(named_texts(reply), draft.text)

        rules = self._rules(draft)
        reply = await self._supported(draft, P4, self._question(draft, P4), SegmentsReply, rules, "segments", check)
        if reply is not None:
            draft.segments = _segments(reply.segments)

    async def _merged(self, draft: _Draft) -> None:
        """P2 to P4 in one call."""
        rules = self._rules(draft, variants=self.synonyms)
        of_description = self._description_check(draft)

        def check(reply: MergedReply) -> list[str]:
            derived = [(name, text) for name, text in named_texts(reply) if name != "description"]
            return of_description(reply) + self._differences(derived, reply.description)

        try:
            reply = await self._supported(draft, P234, self._question(draft, P234), MergedReply, rules, "global", check)
        except AskError as error:
            raise AskError(f"{P234}: {error}") from None
        if reply is None:
            return
        draft.refined = reply.description
        self._keep_evidence(draft, reply.evidence)
        draft.synonyms = distinct_variants(reply.variants, reply.description)[: self.synonyms]
        draft.segments = _segments(reply.segments)

    async def _supported(
        self,
        draft: _Draft,
        step: str,
        user: str,
        model: type[AnyReply],
        rules: ReplyRules,
        field_name: str,
        check: Callable[[AnyReply], list[str]],
    ) -> AnyReply | None:
        """An answer in which nothing is unsupported, or the better of two with marks; None if it was only planned."""
        answer = await self._ask(draft, step, user, model, rules)
        if answer.planned:
            draft.planned = True
            return None
        findings = check(answer.value)
        if findings:
            second = self.prompts.send_back(user, findings, answer.raw)
            try:
                corrected = await self._ask(draft, f"{step}_sent_back", second, model, rules)
            except AskError as error:
                draft.mark("unsupported", f"{field_name}: sent back without success ({error})")
                corrected = answer
            if corrected.planned:
                draft.planned = True
                return None
            remaining = check(corrected.value)
            if len(remaining) <= len(findings):
                answer, findings = corrected, remaining
        draft.mark("unsupported", *(f"{field_name}: {finding}" for finding in findings))
        draft.mark("not as asked", *(f"{field_name}: {complaint}" for complaint in answer.complaints))
        value: AnyReply = answer.value
        return value

    async def _ask(self, draft: _Draft, step: str, user: str, model: type[AnyReply], rules: ReplyRules) -> Answer:
        texts = 1 if model is DescriptionReply else max(rules.variants, 1) if model is VariantsReply else 3
        texts += self.synonyms if model is MergedReply else 0
        evidence = _EVIDENCE_TOKENS if issubclass(model, DescriptionReply) else 0

        def check(value: dict[str, Any]) -> tuple[AnyReply, tuple[str, ...]]:
            return rules.read(model, value)

        def again(problem: str, reply: str) -> str:
            return self.prompts.again(user, problem, reply)

        return await self.asker.ask(
            Question(
                sign=draft.row.gloss,
                step=step,
                system=self.prompts.system,
                user=user,
                schema=rules.schema(model),
                check=check,
                again=again,
                answer_tokens=texts * self.budget.max_tokens + evidence,
            )
        )

    def _question(self, draft: _Draft, step: str) -> str:
        with_entries = step in (P1, P3, P234)
        return self.prompts.question(
            step,
            budget=self.budget,
            gloss=draft.row.gloss,
            description=draft.text,
            entries=[PromptEntry(ref, e.headword, e.text) for ref, e in draft.entries.items()] if with_entries else (),
            links=_links(draft.grounds, draft.entries) if with_entries else (),
            parts=self.parts,
            variants=self.synonyms,
        )

    def _rules(self, draft: _Draft, variants: int = 0, original: str = "") -> ReplyRules:
        return ReplyRules(self.budget, self.language, tuple(draft.entries), self.parts, variants, original)

    def _description_check(self, draft: _Draft) -> Callable[[DescriptionReply], list[str]]:
        """Quotes against the entries, claims against the entries that are rightly quoted."""

        def check(reply: DescriptionReply) -> list[str]:
            findings, cited = [], {}
            for quote in reply.evidence:
                wrong = check_quotes([Evidence(entry=quote.entry, quote=quote.quote)], draft.entries)
                findings += wrong
                if not wrong:
                    cited[quote.entry] = draft.entries[quote.entry]
            findings += check_claims(reply.description, list(cited.values()), language=self.language)
            return [finding.message for finding in findings]

        return check

    def _differences(self, texts: Sequence[tuple[str, str]], reference: str) -> list[str]:
        """What texts say that the text they were made of does not."""
        return [
            f"{name}: {finding.message}"
            for name, text in texts
            for finding in compare_texts(text, reference, language=self.language)
        ]

    def _keep_evidence(self, draft: _Draft, quotes: Sequence[Quote]) -> None:
        """Evidence under the ids of the knowledge base, as far as the entries have the words."""
        for quote in quotes:
            item = Evidence(entry=draft.entries[quote.entry].id, quote=quote.quote)
            if not check_quotes([item], {item.entry: draft.entries[quote.entry]}):
                draft.evidence[item] = None

    @property
    def _stand_in(self) -> str:
        """A text of the usual length, where a dry run has none."""
        return " ".join(["word"] * self.budget.words(self.language))


def gloss_alone(row: ClassRow, reason: str = "not in the corpus: nothing was found under its names") -> SignDescription:
    """A sign about which nothing is known: its gloss is its only text, and a human is told."""
    return SignDescription(label=row.label, gloss=row.gloss, primary=row.gloss, unresolved=(reason,))


def notes_on(grounds: Grounds) -> list[str]:
    """What a human has to know about what was found: doubtful matches and references that lead nowhere."""
    notes = []
    if grounds.hits and grounds.is_fuzzy:
        best = grounds.hits[0]
        notes.append(f"fuzzy match: {grounds.gloss!r} found as {best.entry.headword!r} ({best.entry.id}, {best.route})")
    return [*notes, *grounds.notes, *(f"reference: {text}" for text in grounds.unresolved)]


def _links(grounds: Grounds, entries: Mapping[str, Entry]) -> list[PromptLink]:
    refs = {entry.id: ref for ref, entry in entries.items()}
    links = [link for resolution in grounds.resolutions for link in resolution.links]
    return [PromptLink(link.phrase, link.target, refs.get(link.entry or "", "")) for link in dict.fromkeys(links)]


def _segments(segments: Sequence[PartSegment]) -> tuple[Segment, ...]:
    """Segments with every part named once."""
    distinct = dict.fromkeys((segment.text, tuple(dict.fromkeys(segment.parts))) for segment in segments)
    return tuple(Segment(text=text, parts=parts) for text, parts in distinct)
