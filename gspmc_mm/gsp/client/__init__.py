"""Asking language models behind the OpenAI protocol: settings, cache, limits, prices, the client itself."""

from gspmc_mm.gsp.client.answers import Answer, Question
from gspmc_mm.gsp.client.cache import CallCache
from gspmc_mm.gsp.client.client import LLMClient
from gspmc_mm.gsp.client.config import LLMConfig, load_llm_config
from gspmc_mm.gsp.client.errors import AskError, CacheError, LimitReachedError, LLMConfigError, LLMError
from gspmc_mm.gsp.client.limits import Budget, Spending
from gspmc_mm.gsp.client.prices import Price, PriceTable

__all__ = [
    "Answer",
    "AskError",
    "Budget",
    "CacheError",
    "CallCache",
    "LLMClient",
    "LLMConfig",
    "LLMConfigError",
    "LLMError",
    "LimitReachedError",
    "Price",
    "PriceTable",
    "Question",
    "Spending",
    "load_llm_config",
]
