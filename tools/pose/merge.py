"""Join stores that were extracted apart, such as on machines without a common disk, into one.

    python tools/pose/merge.py STORE_A STORE_B ... --out STORE

Shards that were written into one folder (`extract.py --shard i/n`) are one store already. The exit status is 0 only if
the merged store was written.
"""

from __future__ import annotations

import argparse
import sys


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Join stores of the same estimator and signs into one.")
    parser.add_argument("stores", nargs="+", help="folders that tools/pose/extract.py has filled")
    parser.add_argument("--out", required=True, help="folder of the new store")
    return parser.parse_args()


def main() -> int:
    """Merge and report; 1 if nothing was written."""
    args = parse_args()
    # after the arguments are read: the package brings torch with it, --help does not need it
    from gspmc_mm.extraction import merge_stores

    try:
        store = merge_stores(args.stores, args.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: {len(store)} clips in {len(store.files)} files, from {len(args.stores)} stores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
