"""A faulty language model on loopback, settings for it, and hand-made dictionary entries."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gspmc_mm.gsp.client import LLMConfig
from gspmc_mm.gsp.knowledge.base import build_knowledge_base
from gspmc_mm.gsp.knowledge.entries import Entry, normalize_headword
from gspmc_mm.gsp.knowledge.references import Grounds
from gspmc_mm.gsp.knowledge.retrieval import Hit


def _load(name: str) -> ModuleType:
    """A file of this folder as a module: test folders are no packages."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def faults() -> ModuleType:
    """The module of the fault server: `FaultServer`, `FAULTS`, `copying_model`."""
    return _load("fault_server")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GSPMC_LLM_BASE_URL", "GSPMC_LLM_MODEL", "GSPMC_LLM_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config() -> Callable[..., LLMConfig]:
    """Settings for a server on loopback."""

    def make(server: Any, **values: Any) -> LLMConfig:
        return LLMConfig(**{"base_url": server.base_url, "model": "test-model", "timeout": 5, **values})

    return make


@pytest.fixture
def entry() -> Callable[..., Entry]:
    """A dictionary entry."""

    def make(headword: str, text: str, language: str = "en", **values: Any) -> Entry:
        name = normalize_headword(headword, language)
        return Entry(
            **{
                "id": f"dictionary:{name}:1",
                "headword": headword,
                "normalized": name,
                "language": language,
                "text": text,
                "variants": (text,),
                "source": "dictionary.csv",
                **values,
            }
        )

    return make


@pytest.fixture
def grounds() -> Callable[..., Grounds]:
    """What a knowledge base says: the first entry was found, the others are referred to."""

    def make(gloss: str, *entries: Entry, route: str = "exact", **values: Any) -> Grounds:
        hits = tuple(Hit(e, 1.0, route, {route: 1}) for e in entries[:1])
        return Grounds(label=0, gloss=gloss, hits=hits, entries=entries, route=route if entries else "", **values)

    return make


@pytest.fixture(scope="session")
def english_signs() -> Callable[[int], list[tuple[str, str]]]:
    """Invented English dictionary entries: headword and how the sign is made, all different."""
    shapes = ("The right hand is flat", "The right hand is a fist", "The right index finger points up")
    places = ("touches the chin", "touches the forehead", "is held in front of the chest", "touches the left shoulder")
    moves = ("moves up", "moves down", "moves to the left", "moves to the right", "moves forward", "circles", "taps")

    def make(number: int) -> list[tuple[str, str]]:
        signs = []
        for n in range(number):
            text = (
                f"{shapes[n % 3]} and {places[n // 3 % 4]}. It {moves[n // 12 % 7]} and then {moves[n // 84 % 7]}. "
                f"This is number {n}."
            )
            signs.append((f"word{n:03d}", text))
        return signs

    return make


@pytest.fixture(scope="session")
def knowledge_base(tmp_path_factory: pytest.TempPathFactory, english_signs: Any) -> Path:
    """500 invented entries, found by name only."""
    folder = tmp_path_factory.mktemp("kb")
    lines = ["headword,text,language", *(f'{word},"{text}",en' for word, text in english_signs(500))]
    (folder / "dictionary.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    build_knowledge_base([folder / "dictionary.csv"], folder / "kb", embedder="none")
    return folder / "kb"
