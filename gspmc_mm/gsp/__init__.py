"""From dictionaries and expert codings to descriptions of signs."""
