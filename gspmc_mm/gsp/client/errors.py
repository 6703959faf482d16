"""What can go wrong between us and a language model; none of the messages ever holds a key."""

from __future__ import annotations


class LLMError(ValueError):
    """The endpoint cannot be used as configured, or no longer answers: the run stops."""


class LLMConfigError(LLMError):
    """The settings of the language model are wrong: names the file, the field, what was found and expected."""


class CacheError(LLMError):
    """The file of recorded calls cannot be used."""


class AskError(LLMError):
    """One question has no usable answer after all attempts: it is recorded and the run goes on."""


class LimitReachedError(LLMError):
    """`max_calls` or `max_cost` would be passed by another call."""
