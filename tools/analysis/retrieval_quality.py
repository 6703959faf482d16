"""Measure what is found for misspelt, differently written and translated headwords, by each way of searching.

The targets are real words: 500 of SLR-500 (Chinese), 226 of AUTSL (Turkish), and the signs of ASL-LEX (English, with
their real codings). The Chinese and Turkish texts are made up, as are the distractors: words put together from pieces
of the targets, and texts that mention the targets. All languages lie in one knowledge base, and no query says its own.

    python tools/analysis/retrieval_quality.py --data ../shared/data --out retrieval_quality.json
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# How the words of AUTSL's class list, which has no Turkish letters, are written in Turkish.
TURKISH_SPELLING = """
acikmak=acıkmak agabey=ağabey agac=ağaç agir=ağır aglamak=ağlamak akilli=akıllı akilsiz=akılsız alisveris=alışveriş
arkadas=arkadaş ayakkabi=ayakkabı ayni=aynı bahce=bahçe calismak=çalışmak carsamba=çarşamba catal=çatal cay=çay
caydanlik=çaydanlık cekic=çekiç cirkin=çirkin cocuk=çocuk corba=çorba cuzdan=cüzdan degistirmek=değiştirmek
dugun=düğün dun=dün dusman=düşman fotograf=fotoğraf gecmis=geçmiş gecmis_olsun=geçmiş_olsun gol=göl gomlek=gömlek
gormek=görmek gostermek=göstermek gulmek=gülmek hakli=haklı hali=halı hayir=hayır hayirli_olsun=hayırlı_olsun
hoscakal=hoşçakal icmek=içmek igne=iğne ilac=ilaç isik=ışık kacmak=kaçmak kahvalti=kahvaltı kapi=kapı kardes=kardeş
kavsak=kavşak keske=keşke kiyma=kıyma kiz=kız komur=kömür kopek=köpek kopru=köprü kotu=kötü maas=maaş
masallah=maşallah mudur=müdür nasil=nasıl ogretmen=öğretmen oruc=oruç ozur_dilemek=özür_dilemek pastirma=pastırma
persembe=perşembe salca=salça sali=salı sampiyon=şampiyon sapka=şapka savas=savaş seker=şeker semsiye=şemsiye
seytan=şeytan sinir=sınır soylemek=söylemek soz=söz sut=süt tatli=tatlı tesekkur=teşekkür turkiye=türkiye
uzgun=üzgün yakin=yakın yalniz=yalnız yanlis=yanlış yarabandi=yarabandı yardim=yardım yarin=yarın yastik=yastık
yavas=yavaş yemek_pisirmek=yemek_pişirmek yildiz=yıldız
"""
TRANSLATED = "English word"
METHODS = ("names", "bm25", "dense", "fusion", "search")


@dataclass(frozen=True)
class Word:
    """A target: its headword, other names, language, the ids of right entries, and its English meaning."""

    headword: str
    aliases: tuple[str, ...]
    language: str
    meaning: str


@dataclass(frozen=True)
class Query:
    """What is asked, which variant of the headword it is, and which headwords are right answers."""

    text: str
    variant: str
    language: str
    right: frozenset[str]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--words", type=int, default=150, help="targets of each language; default: %(default)s")
    parser.add_argument("--distractors", type=int, default=20_000, help="made-up entries; default: %(default)s")
    parser.add_argument("--embedder", default="use-multilingual", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser.parse_args()


def main() -> int:
    """Build the knowledge base, ask, print and keep the figures."""
    args = parse_args()
    from gspmc_mm.gsp.knowledge.base import KnowledgeBase, build_knowledge_base
    from gspmc_mm.gsp.knowledge.retrieval import Retriever

    draw = random.Random(args.seed)
    words = [*chinese_words(args.data), *turkish_words(args.data)]
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus.csv"
        write_corpus(corpus, words, args.distractors, draw)
        asl_lex = args.data / "asl_lex" / "signdata-2020-10-28.csv"
        report = build_knowledge_base([corpus, asl_lex], Path(folder) / "kb", embedder=args.embedder)
        kb = KnowledgeBase.open(report.path)
        english = [Word(e.headword, e.aliases, "en", "") for e in kb if e.language == "en" and e.headword.isalpha()]
        queries: list[Query] = []
        for language in ("zh", "tr", "en"):
            mine = [word for word in (*words, *english) if word.language == language]
            for word in draw.sample(mine, min(args.words, len(mine))):
                queries += make_queries(word, mine, draw)
        retriever = Retriever(kb)
        found = [ask(retriever, query) for query in queries]
        return show(args, kb.manifest, queries, found, fuzzy_decisions(retriever, queries))


def chinese_words(data: Path) -> list[Word]:
    """The glosses of SLR-500 with the names in their brackets."""
    from gspmc_mm.gsp.knowledge.entries import split_headword

    with (data / "labels" / "slr500" / "normalized_glosses.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [(*split_headword(row["actual_gloss"]), row["normalized_gloss"]) for row in csv.DictReader(file)]
    return [Word(head, names, "zh", meaning) for head, names, meaning in rows if head]


def turkish_words(data: Path) -> list[Word]:
    """The words of AUTSL in Turkish letters."""
    spelling = dict(pair.split("=") for pair in TURKISH_SPELLING.split())
    path = data / "labels" / "autsl" / "AUTSL" / "SignList_ClassId_TR_EN.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [(spelling.get(row["TR"], row["TR"]).replace("_", " "), row["EN"]) for row in csv.DictReader(file)]
    return [Word(name, (), "tr", meaning) for name, meaning in rows]


def write_corpus(path: Path, words: list[Word], distractors: int, draw: random.Random) -> None:
    """Write the entries of the Chinese and Turkish words and the distractors, in random order."""
    taken = {name for word in words for name in (word.headword, *word.aliases)}
    chinese = [word for word in words if word.language == "zh"]
    turkish = [word for word in words if word.language == "tr"]
    rows: list[tuple[str, str, str, str]] = [
        (
            upper(word.headword, word.language),
            text_for(word.language, draw, chinese, turkish),
            "、".join(word.aliases),
            word.language,
        )
        for word in words
    ]
    characters = sorted({c for word in chinese for c in word.headword})
    while len(rows) < len(words) + distractors:
        if draw.random() < 0.7:
            language, kind = "zh", draw.random()
            name = draw.choice(chinese).headword
            name = (
                name + draw.choice(characters)
                if kind < 0.5
                else "".join(draw.choices(characters, k=draw.choice((2, 3))))
            )
        else:
            language = "tr"
            first, second = draw.sample(turkish, 2)
            name = (
                f"{first.headword} {second.headword}"
                if draw.random() < 0.5
                else f"{first.headword}{draw.choice(('lar', 'lik', 'ci', 'siz'))}"
            )
        if name in taken:
            continue
        taken.add(name)
        rows.append((upper(name, language), text_for(language, draw, chinese, turkish), "", language))
    draw.shuffle(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("headword", "text", "aliases", "language"))
        writer.writerows(rows)


def text_for(language: str, draw: random.Random, chinese: list[Word], turkish: list[Word]) -> str:
    """A made-up text that mentions two other words of its language."""
    if language == "zh":
        shape, move = draw.choice(("伸食指", "五指并拢", "握拳")), draw.choice(("向前移动", "左右摆动", "转动一圈"))
        first, second = (word.headword for word in draw.sample(chinese, 2))
        return f"一手{shape}，在胸前{move}，表示“{first}”之意，与“{second}”有别。"
    shape, move = draw.choice(("yumruk", "işaret parmağı", "açık el")), draw.choice(("öne", "yana", "yukarı"))
    first, second = (word.headword for word in draw.sample(turkish, 2))
    return f"Sağ el {shape} biçiminde {move} hareket eder; {first} ve {second} anlatılır."


def upper(text: str, language: str) -> str:
    """Capitals as the Turkish dictionary prints its headwords."""
    return text.replace("i", "İ").replace("ı", "I").upper() if language == "tr" else text


def make_queries(word: Word, all_words: list[Word], draw: random.Random) -> Iterator[Query]:
    """The variants of a headword. One that is a name of another word of the list too is left out."""
    others = {name for other in all_words if other != word for name in (other.headword, *other.aliases)}
    same_meaning = {other.headword for other in all_words if word.meaning and other.meaning == word.meaning}

    def query(variant: str, text: str, right: set[str] | None = None) -> Iterator[Query]:
        if text and text not in others:
            answers = frozenset(upper(name, word.language) for name in (right or {word.headword}))
            yield Query(text, variant, word.language, answers)

    name, makers = word.headword, variants_of(word.language)
    yield from query("as written", name)
    for variant, make in makers.items():
        changed = make(name, draw)
        if changed != name:
            yield from query(variant, changed)
    for alias in word.aliases[:1]:
        yield from query("other name", alias)
        yield from query("brackets", f"{name}（{alias}）" if word.language == "zh" else f"{name} ({alias})")
    if word.meaning:
        yield from query(TRANSLATED, word.meaning.replace("_", " ").lower(), same_meaning)


def variants_of(language: str) -> dict[str, Callable[[str, random.Random], str]]:
    """How headwords of a language are written otherwise."""
    if language == "zh":
        return {"script": traditional, "number": numbered, "spelling": misspelt_chinese}
    if language == "tr":
        return {"case": turkish_capitals, "script": without_marks, "separator": underscored, "spelling": misspelt}
    return {"case": capitals, "script": full_width, "number": numbered_sign, "spelling": misspelt}


def traditional(name: str, draw: random.Random) -> str:
    """In traditional characters."""
    import opencc

    return opencc.OpenCC("s2t").convert(name)


def numbered(name: str, draw: random.Random) -> str:
    """With the number of one of several signs."""
    return name + draw.choice("①②")


def numbered_sign(name: str, draw: random.Random) -> str:
    """In brackets with a remark, as glosses of data sets are."""
    return f"{name} (sign)"


def misspelt_chinese(name: str, draw: random.Random) -> str:
    """A character too many, or one too few of three or more."""
    if len(name) > 2 and draw.random() < 0.5:
        cut = draw.randrange(len(name))
        return name[:cut] + name[cut + 1 :]
    return name + draw.choice("的了子吗")


def turkish_capitals(name: str, draw: random.Random) -> str:
    """In Turkish capitals."""
    return upper(name, "tr")


def capitals(name: str, draw: random.Random) -> str:
    """In capitals."""
    return name.upper()


def without_marks(name: str, draw: random.Random) -> str:
    """In ASCII, as in AUTSL's list."""
    return name.translate(str.maketrans("çğıöşüâ", "cgiosua"))


def underscored(name: str, draw: random.Random) -> str:
    """With underscores for spaces."""
    return name.replace(" ", "_")


def full_width(name: str, draw: random.Random) -> str:
    """In full-width letters."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name)


def misspelt(name: str, draw: random.Random) -> str:
    """A letter left out, doubled or exchanged with its neighbour; names under five letters stay."""
    if len(name) < 5:
        return name
    at = draw.randrange(1, len(name) - 1)
    kind = draw.randrange(3)
    if kind == 0:
        return name[:at] + name[at + 1 :]
    return (
        name[:at] + name[at] * 2 + name[at + 1 :] if kind == 1 else name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    )


def ask(retriever, query: Query) -> dict[str, int]:
    """Rank of the first right entry by every method, 0 where it is not among the first five.

    Only the translated words say the language of the entries that are wanted, as a class list does.
    """
    from gspmc_mm.gsp.knowledge.retrieval import fuse_ranks

    language = query.language if query.variant == TRANSLATED else None
    words = retriever.by_words(query.text, language=language)
    vectors = retriever.by_vectors(query.text, language=language)
    lists = {"bm25": [n for n, _ in words], "dense": [n for n, _ in vectors]}
    lists["fusion"] = [n for n, _ in fuse_ranks(lists)]
    entries = retriever.kb.numbered({n for found in lists.values() for n in found[:5]})
    headwords = {name: [entries[n].headword for n in found[:5]] for name, found in lists.items()}
    named = retriever.search_names(query.text, language=language)
    headwords["names"] = [hit.entry.headword for hit in named[:5]]
    searched = retriever.search(query.text, k=5, language=language)
    headwords["search"] = [hit.entry.headword for hit in searched]
    return {
        name: next((i for i, head in enumerate(found, 1) if head in query.right), 0)
        for name, found in headwords.items()
    }


def fuzzy_decisions(retriever, queries: list[Query]) -> dict[str, dict[str, int]]:
    """What `gather_grounds` takes for each variant: the right entry, a wrong one, or none."""
    from gspmc_mm.gsp.knowledge.references import gather_grounds

    counts: dict[str, dict[str, int]] = defaultdict(lambda: {"right": 0, "wrong": 0, "none": 0})
    for query in queries:
        language = query.language if query.variant == TRANSLATED else None
        hits = gather_grounds(retriever, query.text, language=language).hits
        kind = "none" if not hits else "right" if hits[0].entry.headword in query.right else "wrong"
        counts[query.variant][kind] += 1
    return dict(counts)


def show(args: argparse.Namespace, manifest, queries: list[Query], found: list[dict[str, int]], decisions: dict) -> int:
    """Print the table and keep the figures."""
    from rich.console import Console
    from rich.table import Table

    from gspmc_mm.evaluation.provenance import fingerprint, gather_provenance
    from gspmc_mm.files import write_json

    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, query in enumerate(queries):
        groups[query.variant, query.language].append(i)
        groups[query.variant, "all"].append(i)
        if query.variant != TRANSLATED:
            groups["all but translated", query.language].append(i)
            groups["all but translated", "all"].append(i)
    figures = {}
    table = Table(title=f"recall@1 among {manifest.entries} entries ({args.embedder})")
    for column in ("variant", "language", "queries", *METHODS):
        table.add_column(column, justify="left" if column in ("variant", "language") else "right")
    for (variant, language), members in sorted(groups.items()):
        first = {m: sum(found[i][m] == 1 for i in members) / len(members) for m in METHODS}
        five = {m: sum(found[i][m] > 0 for i in members) / len(members) for m in METHODS}
        figures[f"{variant} / {language}"] = {"queries": len(members), "recall@1": first, "recall@5": five}
        table.add_row(variant, language, str(len(members)), *(f"{first[m]:.3f}" for m in METHODS))
    console = Console(width=120)
    console.print(table)
    decided = Table(title="what gather_grounds takes")
    for column in ("variant", "right", "wrong", "none"):
        decided.add_column(column)
    for variant, counts in sorted(decisions.items()):
        decided.add_row(variant, *(str(counts[kind]) for kind in ("right", "wrong", "none")))
    console.print(decided)
    if args.out:
        labels = args.data / "labels"
        data = {
            str(path): fingerprint(path)
            for path in (
                args.data / "asl_lex" / "signdata-2020-10-28.csv",
                labels / "slr500" / "normalized_glosses.csv",
                labels / "autsl" / "AUTSL" / "SignList_ClassId_TR_EN.csv",
            )
        }
        content = {
            "corpus_hash": manifest.corpus_hash,
            "entries": manifest.entries,
            "versions": dict(manifest.versions),
        }
        write_json(
            args.out,
            {**gather_provenance(seed=args.seed, data=data), "base": content, "figures": figures, "grounds": decisions},
        )
        print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
