"""What calls cost, by a dated table that the user can edit."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gspmc_mm.gsp.client.errors import LLMConfigError

DEFAULT_TABLE = Path(__file__).with_name("prices.yaml")


class Price(BaseModel):
    """Price of a million tokens read (`input`) and written (`output`), and the day it was looked up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    currency: str = "USD"
    as_of: datetime.date

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Cost of one call, in `currency`."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1_000_000


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")

    models: Mapping[str, Price]


@dataclass(frozen=True)
class PriceTable:
    """Prices by model name."""

    models: Mapping[str, Price]

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> PriceTable:
        """Read a table; the one that comes with the package by default.

        Raises:
            FileNotFoundError: there is no such file.
            LLMConfigError: it is not a price table.
        """
        path = Path(path or DEFAULT_TABLE)
        if not path.is_file():
            raise FileNotFoundError(f"price table {path} does not exist")
        try:
            return cls(dict(_Table.model_validate(yaml.safe_load(path.read_text("utf-8"))).models))
        except ValidationError as error:
            problem = "; ".join(
                f"field {'.'.join(map(str, d['loc'])) or '(all)'}: {d['msg']}" for d in error.errors(include_url=False)
            )
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            problem = " ".join(str(error).split())
        raise LLMConfigError(
            f"{path}: not a price table ({problem}); expected 'models:' with, for each model, input and output (per "
            f"million tokens), currency and as_of (a date), as in {DEFAULT_TABLE}"
        )

    def find(self, model: str) -> Price | None:
        """The price of a model: by its full name, else by the longest name that it begins with."""
        names = [name for name in self.models if model.startswith(name)]
        return self.models[max(names, key=len)] if names else None
