"""The hands of WLASL-100 as a pose store: which hand is which, pixels, and the given splits.

The landmark file of WLASL-100 holds the two hands of a frame in the order of detection. Which one
is the signer's right hand is found for a whole clip at once (`order_hands`), from three things that
are true of hands:

- place: signers face the camera, so their right hand is seen left of their middle;
- palm: fingers bend towards the palm, so the sign of a triple product (`palm_curl`) tells a right
  hand from a left one whichever way it is turned;
- motion: a hand moves little from one frame to the next.

Place and palm give each hand that is seen the odds of being the right one. Their weights come from a
logistic regression on the single hands of the clips for which body landmarks say the side; motion
binds the frames together. The cheapest of all labellings of the clip is found exactly, by dynamic
programming.
"""

from gspmc_mm.datasets.wlasl.conversion import WlaslReport, convert_wlasl, hands_to_wholebody, order_clip
from gspmc_mm.datasets.wlasl.hand_order import (
    DEFAULT_COSTS,
    HAND_POINTS,
    HandOrderCosts,
    merge_copies,
    order_hands,
    palm_curl,
    right_hand_logit,
)
from gspmc_mm.datasets.wlasl.known_sides import BODY_FILE, SideAgreement, side_agreement
from gspmc_mm.datasets.wlasl.reading import (
    FRAME_SIZES,
    LANDMARK_FILE,
    MISSING,
    NUM_FOLDS,
    SPLIT_FILE,
    UNITS,
    WlaslData,
    WlaslError,
    frame_rate,
    frame_size,
    read_wlasl,
)
from gspmc_mm.datasets.wlasl.splitting import hold_out_signers, split_clips

__all__ = [
    "BODY_FILE",
    "DEFAULT_COSTS",
    "FRAME_SIZES",
    "HAND_POINTS",
    "LANDMARK_FILE",
    "MISSING",
    "NUM_FOLDS",
    "SPLIT_FILE",
    "UNITS",
    "HandOrderCosts",
    "SideAgreement",
    "WlaslData",
    "WlaslError",
    "WlaslReport",
    "convert_wlasl",
    "frame_rate",
    "frame_size",
    "hands_to_wholebody",
    "hold_out_signers",
    "merge_copies",
    "order_clip",
    "order_hands",
    "palm_curl",
    "read_wlasl",
    "right_hand_logit",
    "side_agreement",
    "split_clips",
]
