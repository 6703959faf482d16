"""The error of this room."""

from __future__ import annotations


class PoseStoreError(ValueError):
    """A pose store, a clip for one, or a pickle of poses that is not as it has to be."""
