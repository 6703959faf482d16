"""What a pose store says about itself: the header, one JSON value in the schema of the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from typing_extensions import TypedDict

from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.skeleton import Layout, get_layout, layout_names

FORMAT_VERSION = 1
UNITS = "pixel"


class EstimatorInfo(TypedDict):
    """Which pose estimator made the points: a plain dict of three strings ('' = unknown)."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    name: str
    version: str
    weights: str


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class StoreHeader(BaseModel):
    """Header of a pose store.

    Attributes:
        layout: preset name, or the layout itself as a dict. A `Layout` object or the path of a
            layout file is turned into a dict, so that the store can be read without that file.
        num_joints: points per frame; taken from the layout when it is not given.
        estimator: name, version and weights of the pose estimator.
        classes: name of each sign by label, or None.
        command: the command line that made the store.
        created: when, ISO 8601 in UTC.
        note: anything a user of the data has to know, such as that it is synthetic.
        units: unit of the coordinates, always 'pixel'.
        format_version: version of the format on disk.

    Raises:
        pydantic.ValidationError: (a ValueError) a field is missing, unknown or wrong.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: str | dict[str, Any]
    num_joints: int = Field(gt=0)
    estimator: EstimatorInfo
    classes: list[str] | None = None
    command: str = ""
    created: str = Field(default_factory=_now)
    note: str = ""
    units: str = UNITS
    format_version: int = FORMAT_VERSION

    @model_validator(mode="before")
    @classmethod
    def _self_contained_layout(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or "layout" not in values:
            return values
        values = dict(values)
        given = values["layout"]
        layout = get_layout(given)
        if isinstance(given, Layout) and given.name in layout_names():
            if given == get_layout(given.name):
                values["layout"] = given.name
            else:
                values["layout"] = given.to_dict()
        elif isinstance(given, Layout) or (isinstance(given, (str, os.PathLike)) and str(given) not in layout_names()):
            values["layout"] = layout.to_dict()
        if values.get("num_joints") is None:
            values["num_joints"] = layout.num_joints
        if values["num_joints"] != layout.num_joints:
            raise ValueError(
                f"num_joints is {values['num_joints']}, but the layout {layout.name!r} has {layout.num_joints} points"
            )
        return values

    @field_validator("units")
    @classmethod
    def _pixels_only(cls, value: str) -> str:
        if value != UNITS:
            raise ValueError(f"a pose store holds pixels; units {value!r} are not known")
        return value

    @field_validator("format_version")
    @classmethod
    def _known_version(cls, value: int) -> int:
        if value != FORMAT_VERSION:
            raise ValueError(f"this code writes format {FORMAT_VERSION}, not {value}")
        return value

    def to_json(self) -> str:
        """The header as the JSON text that goes into the file."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes, source: str) -> StoreHeader:
        """Read a header.

        Args:
            text: the JSON text.
            source: the file it comes from, for the error message.

        Raises:
            PoseStoreError: the version is another one, or a field is not as it has to be.
        """
        # The version is looked at first: another version may well have other fields.
        try:
            version = _Version.model_validate_json(text).format_version
        except ValidationError as error:
            raise PoseStoreError(
                f"{source}: the header is no JSON object with a whole number 'format_version'"
            ) from error
        if version != FORMAT_VERSION:
            raise PoseStoreError(
                f"{source}: the store has format version {version}; this code reads version "
                f"{FORMAT_VERSION}. Install the version of gspmc_mm that wrote it, or make it again"
            )
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'header'}: {problem['msg']}" for problem in error.errors()
            )
            raise PoseStoreError(f"{source}: the header is not valid: {problems}") from error


class _Version(BaseModel):
    format_version: int
