"""Names and types of the columns of a pose store, the same for its writer and its reader."""

from __future__ import annotations

import pyarrow as pa

METADATA_KEY = b"gspmc_mm.pose_store"
SUFFIX = ".arrow"
DIGEST_BYTES = 16

# The small columns come first: what an opening touches then lies together at the start of each
# record batch, and the key points, which are 99.9 % of the file, are not touched at all.
COLUMNS: tuple[tuple[str, pa.DataType], ...] = (
    ("clip_id", pa.string()),
    ("label", pa.int32()),
    ("signer", pa.string()),
    ("frames", pa.int32()),
    ("fps", pa.float64()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("digest", pa.binary(DIGEST_BYTES)),
    ("splits", pa.list_(pa.field("item", pa.string(), nullable=False))),
    ("keypoint", pa.large_list(pa.field("item", pa.int16(), nullable=False))),
    ("score", pa.large_list(pa.field("item", pa.uint8(), nullable=False))),
)


def make_schema(header_json: str) -> pa.Schema:
    """The Arrow schema of a store with this header."""
    fields = [pa.field(name, kind, nullable=False) for name, kind in COLUMNS]
    return pa.schema(fields, metadata={METADATA_KEY: header_json.encode()})
