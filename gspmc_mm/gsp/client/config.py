"""Which language model is asked, and how: from a YAML file or the environment, nothing tied to a vendor."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from gspmc_mm.gsp.client.errors import LLMConfigError
from gspmc_mm.gsp.client.prices import Price

FROM_ENVIRONMENT = "env"
# Looked up in this order where the YAML is silent; the second names are those of the protocol's own client.
ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "base_url": ("GSPMC_LLM_BASE_URL", "OPENAI_BASE_URL"),
    "model": ("GSPMC_LLM_MODEL",),
    "api_key": ("GSPMC_LLM_API_KEY", "OPENAI_API_KEY"),
}
# What the client itself decides; tools would let text of a dictionary act.
_RESERVED = frozenset(
    {"messages", "model", "stream", "n", "tools", "tool_choice", "functions", "function_call", "response_format"}
)

# Shorter ones are words and numbers that texts are full of: to black them out would spoil answers and hide nothing.
_LEAST_SECRET = 8
_SECRET_HEADER = re.compile("auth|key|token|secret|cookie", re.IGNORECASE)

Rung = Literal["json_schema", "json_object", "prompt"]
LADDER: tuple[Rung, ...] = ("json_schema", "json_object", "prompt")


class LLMConfig(BaseModel):
    """An OpenAI-compatible endpoint and how it is used.

    Attributes:
        base_url: address of the API, up to and with `/v1`.
        model: name of the model at that address.
        api_key: secret; empty for servers that want none.
        headers: further headers of every request; secret, like the key, if the name speaks of a key (`secrets`).
        parameters: fields of every request, as the server wants them: temperature, max_tokens, top_p, seed, ...
        structured: how JSON is asked for; `auto` tries json_schema, json_object, then the prompt alone.
        system_role: role of the instructions; `user` puts them in front of the question, for models without one.
        concurrency: calls at the same time.
        requests_per_minute, tokens_per_minute: limits of the account; None: no limit.
        timeout: seconds for one request.
        max_retries: how often the client repeats a request after 408, 409, 429, 5xx, time-out or a broken connection.
        price: price of this model; goes before the price table.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: str
    model: str = Field(min_length=1)
    api_key: SecretStr = SecretStr("")
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)
    structured: Literal["auto", "json_schema", "json_object", "prompt"] = "auto"
    system_role: Literal["system", "developer", "user"] = "system"
    concurrency: int = Field(default=4, ge=1, le=1000)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    timeout: float = Field(default=120, gt=0)
    max_retries: int = Field(default=4, ge=0, le=100)
    price: Price | None = None

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, url: str) -> str:
        if problem := address_problem(url):
            raise ValueError(f"{problem}: secrets go to api_key or headers")
        return url.rstrip("/")

    @field_validator("parameters")
    @classmethod
    def _leaves_the_rest_to_us(cls, values: dict[str, Any]) -> dict[str, Any]:
        if reserved := sorted(_RESERVED & set(values)):
            raise ValueError(f"{', '.join(reserved)} cannot be set here, expected sampling parameters only")
        return values

    @property
    def first_rung(self) -> Rung:
        """Where the ladder of structured output begins."""
        return LADDER[0] if self.structured == "auto" else self.structured

    @property
    def max_output_tokens(self) -> int | None:
        """The limit of an answer that the parameters set, under whichever of its names; None: none is set."""
        for name in ("max_completion_tokens", "max_tokens"):
            if isinstance(value := self.parameters.get(name), int):
                return value
        return None

    def secrets(self) -> tuple[str, ...]:
        """What must not be written anywhere, the longest first.

        The key, and the values of headers whose names contain auth, key, token, secret or cookie, whole and what
        follows their scheme ('Bearer ...'): each if it has at least 8 characters, and as JSON would write it too.
        """
        found = [self.api_key.get_secret_value()]
        for name, header in self.headers.items():
            if _SECRET_HEADER.search(name):
                value = header.get_secret_value()
                found += [value, *re.split(r"[\s;=]+", value)[1:]]
        long = {value for value in found if len(value) >= _LEAST_SECRET}
        return tuple(sorted(long | {json.dumps(value)[1:-1] for value in long}, key=len, reverse=True))

    def redact(self, text: str) -> str:
        """A text without the secrets, whoever put them there."""
        for secret in self.secrets():
            text = text.replace(secret, "[key]")
        return text


def address_problem(url: str) -> str | None:
    """Why an address cannot be written into caches, manifests and reports; None: it can. Never repeats the address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "expected an address such as http://127.0.0.1:8080/v1"
    if parts.username or parts.password or parts.query:
        return "expected an address without user, password and query"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "expected an address such as http://127.0.0.1:8080/v1"
    return None


def load_llm_config(source: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> LLMConfig:
    """Read the settings of a language model.

    Args:
        source: a YAML file with the fields of `LLMConfig` (and `api_key_env`, the name of the environment variable
            that holds the key); or `env`, for everything from the environment.
        environ: the environment; this process's own by default. What the file does not say is looked up in
            `GSPMC_LLM_BASE_URL`, `GSPMC_LLM_MODEL` and `GSPMC_LLM_API_KEY`, then in the protocol's own
            `OPENAI_BASE_URL` and `OPENAI_API_KEY`.

    Raises:
        FileNotFoundError: there is no such file.
        LLMConfigError: names the field, what was found and what was expected; never a key.
    """
    environ = os.environ if environ is None else environ
    values, where = ({}, "the environment") if str(source) == FROM_ENVIRONMENT else (_read(Path(source)), str(source))
    if variable := values.pop("api_key_env", None):
        if not environ.get(str(variable)):
            raise LLMConfigError(f"{where}: api_key_env names the environment variable {variable}, which is not set")
        values.setdefault("api_key", environ[str(variable)])
    for field, names in ENVIRONMENT.items():
        found = next((environ[name] for name in names if environ.get(name)), None)
        if field not in values and found is not None:
            values[field] = found
        elif field not in values and field != "api_key":
            raise LLMConfigError(
                f"{where}: {field} is missing; write it into the YAML or set {' or '.join(names)} in the environment"
            )
    try:
        return LLMConfig.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"field {'.'.join(map(str, detail['loc']))}: {detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise LLMConfigError(f"{where}: {problems}; the fields are: {', '.join(LLMConfig.model_fields)}") from None


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist; expected the YAML of a language model (base_url, model, ...), "
            f"or '{FROM_ENVIRONMENT}' for settings from the environment"
        )
    try:
        values = yaml.safe_load(path.read_text("utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where is not None else ""
        # the parser's own message quotes the line, which may hold the key
        raise LLMConfigError(f"{path}: not a YAML file in UTF-8{line}") from None
    if not isinstance(values, dict):
        raise LLMConfigError(f"{path}: found {type(values).__name__}, expected fields such as base_url and model")
    return values
