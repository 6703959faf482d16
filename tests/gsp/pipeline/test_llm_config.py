"""Settings from YAML and environment; errors that name the field and never the key."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gspmc_mm.gsp.client import CacheError, CallCache, LLMConfigError, load_llm_config
from gspmc_mm.gsp.client import cache as cache_module
from gspmc_mm.gsp.client.cache import call_key

YAML = """
base_url: http://127.0.0.1:8080/v1/
model: my-model
api_key_env: MY_KEY
parameters: {temperature: 0.2, max_tokens: 900}
requests_per_minute: 60
price: {input: 0.5, output: 1.5, currency: EUR, as_of: 2026-03-01}
"""


def write(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "llm.yaml"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_file(tmp_path: Path) -> None:
    config = load_llm_config(write(tmp_path, YAML), {"MY_KEY": "sk-1"})
    assert config.base_url == "http://127.0.0.1:8080/v1"
    assert config.api_key.get_secret_value() == "sk-1"
    assert config.max_output_tokens == 900
    assert config.price.currency == "EUR"
    assert "sk-1" not in repr(config) + str(config.model_dump())


def test_the_environment_alone_and_beside_a_file(tmp_path: Path) -> None:
    environment = {"GSPMC_LLM_BASE_URL": "http://a/v1", "GSPMC_LLM_MODEL": "m", "OPENAI_API_KEY": "k"}
    config = load_llm_config("env", environment)
    assert (config.base_url, config.model, config.api_key.get_secret_value()) == ("http://a/v1", "m", "k")
    path = write(tmp_path, "base_url: http://b/v1\n")
    assert load_llm_config(path, environment).base_url == "http://b/v1"
    assert load_llm_config(path, environment).model == "m"
    assert load_llm_config(path, {"GSPMC_LLM_MODEL": "m"}).api_key.get_secret_value() == ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("model: m", "base_url is missing.*GSPMC_LLM_BASE_URL"),
        ("base_url: http://a/v1", "model is missing"),
        ("base_url: a/v1\nmodel: m", "field base_url: expected an address"),
        ("base_url: http://me:sk-secret@a/v1\nmodel: m", "without user, password"),
        ("base_url: http://a/v1?key=sk-secret\nmodel: m", "without user, password and query"),
        ("base_url: http://a/v1\nmodel: m\ntemperature: 1", "field temperature.*the fields are: base_url"),
        ("base_url: http://a/v1\nmodel: m\nparameters: {tools: []}", "tools cannot be set"),
        ("base_url: http://a/v1\nmodel: m\napi_key: [sk-secret]", "field api_key"),
        ("base_url: http://a/v1\nmodel: m\napi_key_env: NO_SUCH", "NO_SUCH, which is not set"),
        ("api_key: 'sk-secret\nmodel", "not a YAML file"),
        ("sk-secret", "found str"),
    ],
)
def test_what_is_wrong_is_named_and_no_key_is(tmp_path: Path, content: str, problem: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(LLMConfigError, match=f"(?s)llm.yaml.*{problem}") as caught:
        load_llm_config(path, {})
    assert "sk-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_counts_as_a_secret(tmp_path: Path) -> None:
    content = """
base_url: http://a/v1
model: m
api_key: 'sk-"quoted"-0815'
headers:
  Authorization: Bearer token-4711-long
  X-Api-Key: short
  Cookie: session=cookie-0816
  X-Title: the right hand of the signer
  X-Retry: "1"
"""
    config = load_llm_config(write(tmp_path, content), {})
    for secret in ('sk-"quoted"-0815', "token-4711-long", "Bearer token-4711-long", "cookie-0816"):
        assert config.redact(f"a {secret} b") == "a [key] b"
    assert config.redact(r'{"error": "sk-\"quoted\"-0815"}') == '{"error": "[key]"}'
    plain = "1 short: the right hand of the signer, null"
    assert config.redact(plain) == plain


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.yaml.*'env'"):
        load_llm_config(tmp_path / "none.yaml", {})


def test_key_of_a_call_does_not_depend_on_order() -> None:
    assert call_key({"a": 1, "b": [1, 2]}) == call_key({"b": [1, 2], "a": 1})
    assert call_key({"a": 1, "b": [1, 2]}) != call_key({"a": 1, "b": [2, 1]})


def test_a_file_that_is_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"this is no database, and long enough to look like one" * 40)
    with pytest.raises(CacheError, match=r"calls.sqlite.*move it away"):
        CallCache(path)
    with CallCache(tmp_path / "new.sqlite") as cache:
        cache._connection.execute("PRAGMA user_version=7")
    with pytest.raises(CacheError, match="format 7, expected 1"):
        CallCache(tmp_path / "new.sqlite")


def test_a_cache_that_another_process_holds_or_that_is_damaged_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_PATIENCE", 0.05)
    path = tmp_path / "calls.sqlite"
    with CallCache(path) as cache:
        cache.remember_rung("a", "prompt")
        other = sqlite3.connect(path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CacheError, match=r"calls\.sqlite: .*locked.*another process.*run the same command again"):
            cache.remember_rung("b", "prompt")
        with pytest.raises(CacheError, match="locked"):
            cache.forget(["key"])
        assert cache.rung("a") == "prompt", "reading goes on"
        other.rollback()
        other.execute("DROP TABLE calls")
        other.close()
        with pytest.raises(CacheError, match=r"calls\.sqlite"):
            cache.get("key")
