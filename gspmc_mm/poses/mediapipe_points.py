"""The landmarks of MediaPipe Holistic among the 133 points of COCO-WholeBody, as data.

MediaPipe gives 33 points of the pose, 468 of the face mesh (478 with the irises) and 21 of each hand. The hands have
the same points in the same order. Body and feet have a landmark of the same name, except the small toes, which
MediaPipe does not know: they stay missing. Of the face mesh the vertices that lie on the contours of iBUG-68 are taken;
mesh and iBUG agree that what is left in the picture of somebody who faces the camera is that person's right.
"""

from __future__ import annotations

import numpy as np

from gspmc_mm.skeleton import get_layout

POSE_POINTS = 33
FACE_POINTS = 468
FACE_POINTS_WITH_IRISES = 478
HAND_POINTS = 21

# fmt: off
#: Pose landmark of the points 0 to 22 of COCO-WholeBody (body and feet); -1: MediaPipe has none.
POSE_OF_BODY = (
    0,                       # nose
    2, 5, 7, 8,              # eyes, ears
    11, 12, 13, 14, 15, 16,  # shoulders, elbows, wrists
    23, 24, 25, 26, 27, 28,  # hips, knees, ankles
    31, -1, 29,              # left big toe (foot index), small toe, heel
    32, -1, 30,              # right
)
#: Vertex of the face mesh of the points 23 to 90 of COCO-WholeBody (iBUG 0 to 67).
MESH_OF_FACE = (
    127, 234, 132, 58, 172, 136, 149, 148,  # jaw, from the right ear to the chin
    152,
    377, 378, 365, 397, 288, 361, 454, 356,  # and up to the left ear
    70, 63, 105, 66, 107,                    # right brow, outside to inside
    336, 296, 334, 293, 300,                 # left brow, inside to outside
    168, 197, 5, 4,                          # bridge to tip of the nose
    98, 97, 2, 326, 327,                     # nostrils
    33, 160, 158, 133, 153, 144,             # right eye: outer corner, upper lid, inner corner, lower lid
    362, 385, 387, 263, 373, 380,            # left eye: inner corner, upper lid, outer corner, lower lid
    61, 40, 37, 0, 267, 270, 291,            # outer lip, upper
    321, 314, 17, 84, 91,                    # outer lip, lower
    78, 81, 13, 311, 308,                    # inner lip, upper
    402, 14, 178,                            # inner lip, lower
)
# fmt: on


def wholebody_from_mediapipe(
    pose: tuple[np.ndarray, np.ndarray] | None = None,
    face: tuple[np.ndarray, np.ndarray] | None = None,
    left_hand: tuple[np.ndarray, np.ndarray] | None = None,
    right_hand: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Put the landmarks of a clip into the 133 points of COCO-WholeBody.

    Args:
        pose: (T, 33, 2) coordinates and (T, 33) confidences.
        face: (T, 468 or 478, 2) and (T, 468 or 478).
        left_hand: (T, 21, 2) and (T, 21), the signer's own left.
        right_hand: (T, 21, 2) and (T, 21).

    Returns:
        keypoint (T, 133, 2) float32 in the units that were given and score (T, 133) float32; points without a source
        have score 0, and where the score is 0 the coordinates are 0.

    Raises:
        ValueError: a group has another number of points or frames, or there is none at all.
    """
    layout = get_layout("wholebody133")
    body = [joint for joint, landmark in enumerate(POSE_OF_BODY) if landmark >= 0]
    face_joints = sorted([*layout.part_indices("face"), *layout.part_indices("mouth")])
    groups = (
        ("pose", pose, (POSE_POINTS,), body, [POSE_OF_BODY[joint] for joint in body]),
        ("face", face, (FACE_POINTS, FACE_POINTS_WITH_IRISES), face_joints, list(MESH_OF_FACE)),
        ("left_hand", left_hand, (HAND_POINTS,), list(layout.part_indices("left_hand")), list(range(HAND_POINTS))),
        ("right_hand", right_hand, (HAND_POINTS,), list(layout.part_indices("right_hand")), list(range(HAND_POINTS))),
    )
    frames = {len(group[0]) for _, group, *_ in groups if group is not None}
    if len(frames) != 1:
        raise ValueError(f"the groups have {sorted(frames)} frames; expected one number of frames")
    keypoint = np.zeros((frames.pop(), layout.num_joints, 2), dtype=np.float32)
    score = np.zeros(keypoint.shape[:2], dtype=np.float32)
    for name, group, sizes, joints, landmarks in groups:
        if group is None:
            continue
        points, confidence = group
        if points.shape[1] not in sizes or points.shape[2:] != (2,) or confidence.shape != points.shape[:2]:
            raise ValueError(
                f"{name}: coordinates {points.shape} and confidences {confidence.shape}; expected (frames, "
                f"{' or '.join(map(str, sizes))}, 2) and the same without the last"
            )
        keypoint[:, joints] = points[:, landmarks]
        score[:, joints] = confidence[:, landmarks]
    keypoint[score == 0] = 0
    return keypoint, score
