"""Measure a large knowledge base: time and memory of building it, time of queries, time of an unchanged rebuild.

Writes a made-up lexicon in the style of GF 0020-2018 (by default 300,000 entries and 15 million characters in one
file, the document that the paper states), builds a knowledge base of it in a process of its own, asks it from a fresh
process, and builds it again without a change and with one more source. The files are removed at the end unless --keep
is given. The second line is all that the paper states, 1 GB in documents of 50 MB; it takes three quarters of an hour.

    python tools/analysis/knowledge_base_scale.py --work work_dirs/kb_scale --out kb_scale.json
    python tools/analysis/knowledge_base_scale.py --work work_dirs/kb_1gb --entries 6600000 --documents 20 \
        --embedder none
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

# Phrases of the lexicon's language, combined at random: what is measured depends on how many there are of which
# characters, not on what they say.
HANDS = ("一手", "双手", "左手横伸，掌心向上；右手", "左手握拳；右手", "右手", "左手直立，掌心向内；右手")
SHAPES = (
    *("伸食指", "五指并拢", "五指张开", "拇、食指捏成圆形", "食、中指分开", "握拳", "伸拇指", "五指微曲"),
    *("打手指字母“{}”的指式", "拇、小指伸直", "食、中、无名、小指并拢"),
)
PLACES = ("置于胸前", "贴于颏部", "置于头一侧", "在嘴边", "置于左手掌心上", "在身体一侧", "指尖抵于前额", "虎口朝上")
MOVES = (
    "向前移动一下",
    "左右摆动几下",
    "逆时针转动一圈",
    "向下一顿",
    "从下向上划动",
    "互碰两下",
    "向两侧拉开",
    "弯动几下",
)
ENDS = ("面露笑容", "表示“{}”之意", "仿“{}”字部分字形", "同时向前微移", "重复一次", "口微张")


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the files")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--entries", type=int, default=300_000, help="entries; default: %(default)s")
    parser.add_argument("--characters", type=int, default=45, help="characters per entry; default: %(default)s")
    parser.add_argument("--documents", type=int, default=1, metavar="N", help="files; default: %(default)s")
    parser.add_argument("--embedder", default="use-multilingual", help="default: %(default)s")
    parser.add_argument("--queries", type=int, default=1000, help="queries of each kind; default: %(default)s")
    parser.add_argument("--keep", action="store_true", help="do not remove the files at the end")
    parser.add_argument("--probe", choices=("build", "query"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not 1 <= args.documents <= args.entries:
        parser.error(f"--documents: found {args.documents}, expected a number from 1 to that of the entries")
    return args


def main() -> int:
    """Run the measurement, or one of its probes."""
    args = parse_args()
    if args.probe == "build":
        return probe_build(args)
    if args.probe == "query":
        return probe_query(args)
    return measure(args)


def measure(args: argparse.Namespace) -> int:
    """Write the lexicon, run the probes in processes of their own, print and keep the figures."""
    from rich.console import Console
    from rich.table import Table

    from gspmc_mm.evaluation.provenance import gather_provenance
    from gspmc_mm.files import write_json

    args.work.mkdir(parents=True, exist_ok=True)
    sources, kb = args.work / "lexicon", args.work / "kb"
    shutil.rmtree(sources, ignore_errors=True)
    try:
        characters = write_lexicon(sources, args.documents, args.entries, args.characters)
        figures: dict[str, object] = {"entries": args.entries, "characters": characters, "load": os.getloadavg()}
        figures["documents"] = args.documents
        figures["source_mb"] = round(sum(file.stat().st_size for file in sources.iterdir()) / 1e6, 1)
        figures["build"] = run_probe(args, "build")
        figures["unchanged"] = run_probe(args, "build")
        figures["query"] = run_probe(args, "query")
        (sources / "one_more.txt").write_text(
            "新词一\n一手伸食指，指尖朝前。\n新词二\n双手握拳，上下互碰。\n", encoding="utf-8"
        )
        figures["one_source_more"] = run_probe(args, "build")
        figures["disk_mb"] = round(sum(f.stat().st_size for f in kb.rglob("*") if f.is_file()) / 1e6, 1)
        figures["load_after"] = os.getloadavg()
    finally:
        if not args.keep:
            shutil.rmtree(kb, ignore_errors=True)
            shutil.rmtree(sources, ignore_errors=True)
    build, unchanged, more, query = (figures[name] for name in ("build", "unchanged", "one_source_more", "query"))
    size = f"{args.entries} entries, {characters} characters, {figures['source_mb']} MB in {args.documents} files"
    table = Table(title=f"knowledge base of {size}, {args.embedder}")
    for column in ("what", "measured", "wanted"):
        table.add_column(column)
    rows = [
        ("import of the package", f"{build['import_seconds']:.1f} s, {unchanged['import_seconds']:.1f} s again", ""),
        ("build", f"{build['seconds']:.0f} s; processor time {build['cpu_seconds']:.0f} s in all", "under 360 s"),
        ("peak memory of the build", f"{build['peak_mb'] / 1024:.2f} GiB", "under 4 GiB"),
        *((f"  of this: {stage}", f"{spent:.1f} s", "") for stage, spent in build["stages"].items()),
        ("build again, nothing changed", f"{unchanged['seconds']:.2f} s, and the import", "under 10 s"),
        ("build again, one small source more", f"{more['seconds']:.0f} s, {more['vectors_made']} vectors made", ""),
        ("exact query, p50 / p95", "{p50:.2f} / {p95:.2f} ms".format(**query["exact"]), "p95 under 5 ms"),
        ("hybrid query, p50 / p95", "{p50:.1f} / {p95:.1f} ms".format(**query["hybrid"]), "p95 under 50 ms"),
        ("  of this: BM25", "{p50:.1f} / {p95:.1f} ms".format(**query["bm25"]), ""),
        ("  of this: vectors", "{p50:.1f} / {p95:.1f} ms".format(**query["dense"]), ""),
        (f"index of vectors ({query['index']}): recall@10", f"{query['index_recall']:.3f}", ""),
        ("open and first query", f"{query['first_s']:.1f} s", ""),
        ("memory of the asking process", f"{query['peak_mb'] / 1024:.2f} GiB", ""),
        ("size on disk", f"{figures['disk_mb']:.0f} MB", ""),
    ]
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    if args.out:
        write_json(args.out, {**gather_provenance(seed=0), "figures": figures})
        print(f"wrote {args.out}")
    return 0


def write_lexicon(folder: Path, documents: int, entries: int, characters: int) -> int:
    """Write the lexicon.

    Args:
        folder: for the files.
        documents: how many files; entry n is in file n * documents // entries, so that they are of one size.
        entries: how many in all; no headword comes twice.
        characters: of an entry, about.

    Returns:
        Its number of characters.
    """
    draw = random.Random(0)
    # the 3,755 common characters of GB 2312; an encoder does not know rare ones, and takes them all for the same
    cells = [bytes((row, cell)) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF)]
    common = [cell.decode("gb2312") for cell in cells[:3755]]
    seen: set[str] = set()
    total = 0
    folder.mkdir(parents=True)
    for document in range(documents):
        end = entries * (document + 1) // documents
        with (folder / f"lexicon_{document + 1:03d}.txt").open("w", encoding="utf-8") as file:
            while len(seen) < end:
                headword = "".join(draw.choices(common, k=draw.choice((2, 2, 3, 4))))
                if headword in seen:
                    continue
                seen.add(headword)
                text = make_text(draw, common, characters - 8 - len(headword))
                file.write(f"{headword}\n{text}\n")
                total += len(headword) + len(text)
    return total


def make_text(draw: random.Random, common: list[str], characters: int) -> str:
    """A text of at least so many characters, in whole sentences."""
    text = ""
    while len(text) < characters:
        letter = draw.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        parts = [draw.choice(choices) for choices in (HANDS, SHAPES, PLACES, MOVES)]
        if draw.random() < 0.5:
            parts.append(draw.choice(ENDS).format(draw.choice(common)))
        text += "，".join(part.format(letter) for part in parts) + "。"
    return text


def run_probe(args: argparse.Namespace, name: str) -> dict:
    """Run a probe in a fresh process; what it printed."""
    command = [sys.executable, __file__, "--probe", name, "--work", str(args.work)]
    command += ["--embedder", args.embedder, "--queries", str(args.queries)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def probe_build(args: argparse.Namespace) -> int:
    """Build, and print time and peak memory of this process."""
    begun = time.perf_counter()
    from gspmc_mm.gsp.knowledge.base import build_knowledge_base

    started = time.perf_counter()
    report = build_knowledge_base([args.work / "lexicon"], args.work / "kb", profile="gf0020", embedder=args.embedder)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "seconds": round(time.perf_counter() - started, 2),
        "import_seconds": round(started - begun, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024, 1),
        "stages": report.seconds,
        "unchanged": report.unchanged,
        "entries": report.manifest.entries,
        "vectors_made": report.vectors_made,
    }
    print(json.dumps(figures))
    return 0


def probe_query(args: argparse.Namespace) -> int:
    """Ask for names that are there and for names that are not, and print how long each took."""
    import numpy as np

    from gspmc_mm.gsp.knowledge.base import KnowledgeBase
    from gspmc_mm.gsp.knowledge.retrieval import Retriever

    started = time.perf_counter()
    kb = KnowledgeBase.open(args.work / "kb")
    retriever = Retriever(kb)
    draw = random.Random(1)
    chosen = kb.numbered(draw.sample(range(len(kb)), min(args.queries, len(kb))))
    names = [entry.headword for entry in chosen.values()]
    misspelt = [name[:-1] + draw.choice("们子的手员") for name in names]
    retriever.search(misspelt[0])
    first_s = time.perf_counter() - started

    def timed(ask, queries: list[str]) -> dict[str, float]:
        spent = []
        for query in queries:
            begun = time.perf_counter()
            ask(query)
            spent.append(1000 * (time.perf_counter() - begun))
        return {"p50": float(np.percentile(spent, 50)), "p95": float(np.percentile(spent, 95)), "count": len(spent)}

    figures: dict[str, object] = {"first_s": round(first_s, 2)}
    figures["exact"] = timed(retriever.search_names, names)
    figures["bm25"] = timed(retriever.by_words, misspelt[:200])
    figures["dense"] = timed(retriever.by_vectors, misspelt[:200])
    figures["hybrid"] = timed(retriever.search, misspelt)
    figures["index"] = kb.manifest.vector_index or "none"
    # before the comparison with all vectors, which no user makes
    figures["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    figures["index_recall"] = index_recall(retriever, misspelt[:100]) if kb.vectors is not None else 0.0
    print(json.dumps(figures))
    return 0


def index_recall(retriever, queries: list[str]) -> float:
    """Share of the ten most similar entries, by comparing with all vectors, that the index finds."""
    import numpy as np

    kb = retriever.kb
    rows = np.load(kb.path / kb.manifest.data / "vectors" / "vectors.npy", mmap_mode="r")
    vectors = np.asarray(retriever.embedder.encode(queries), np.float32)
    best = np.zeros((len(queries), 0), np.float32)
    for start in range(0, len(rows), 20_000):
        scores = vectors @ np.asarray(rows[start : start + 20_000], np.float32).T
        best = np.sort(np.concatenate([best, scores], 1), 1)[:, -10:]
    found = 0
    for vector, tenth in zip(vectors, best[:, 0], strict=True):
        # by the cosines, since equal ones may come in any order; half precision costs the last digits
        found += sum(score >= tenth - 1e-3 for _, score in kb.vectors.search(vector, 10)[:10])
    return found / (10 * len(queries))


if __name__ == "__main__":
    sys.exit(main())
