"""The kinematic signer: a SYNTHETIC sign as 133 COCO-WholeBody points in three dimensions.

A performance is rest, preparation, stroke, hold, retraction. Wrists follow minimum-jerk profiles
(Flash and Hogan 1985), elbows come from two-link inverse kinematics, hands from finger angles, the
face from a 68-point model that turns with the head.

Body frame: origin between the shoulders, unit = shoulder width, x to the signer's left, y down,
z towards the camera; the signer faces the camera, so the signer's right side has the smaller x.
Both arms are computed as right arms and the left one is mirrored; a left-handed signer is the
mirror image of the whole figure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gspmc_mm.datasets.synthsign.face import EYES_AND_EARS, NOSE_TIP, face_points, head_turns
from gspmc_mm.datasets.synthsign.handshapes import HANDSHAPES, hand_points
from gspmc_mm.datasets.synthsign.kinematics import (
    MIRROR,
    back_and_forth,
    hand_frame,
    minimum_jerk,
    rotation_vector,
    rotations,
    solve_elbow,
)
from gspmc_mm.datasets.synthsign.lexicon import DIRECTIONS, LOCATIONS, Movement, Sign
from gspmc_mm.datasets.synthsign.profile import IDLE_POSTURES, SignerProfile
from gspmc_mm.datasets.synthsign.timing import Timing, time_sign
from gspmc_mm.skeleton import get_layout

NUM_POINTS = 133
FACE, LEFT_HAND, RIGHT_HAND = slice(23, 91), slice(91, 112), slice(112, 133)

_NECK = np.array([0.0, -0.20, 0.0])
_PATH_SIZE = 0.48


@dataclass(frozen=True)
class Motion:
    """A sign performed once, in three dimensions.

    Attributes:
        points3d: (T, 133, 3) the body before the camera, shoulder widths, without jitter.
        anchor: (T, 3) the point of the right hand that goes to the place of articulation (of the
            left hand for a left-handed signer).
        place: (T, 3) the place it is sent to, movement included.
        envelope: (T,) 0 at rest, 1 during stroke and hold.
        phase: (T,) 0 before the stroke, 1 after it.
        fps: frames per second.
        image_size: (width, height).
    """

    points3d: np.ndarray
    anchor: np.ndarray
    place: np.ndarray
    envelope: np.ndarray
    phase: np.ndarray
    fps: float
    image_size: tuple[int, int]


def _displacement(movement: Movement, away: np.ndarray, phase: np.ndarray, opposite: bool) -> np.ndarray:
    """Displacement (T, 3) of the hand from its place, for a right hand of unit amplitude."""
    step = back_and_forth(phase, movement.repeat)
    if opposite:
        step = 1.0 - step
    path = np.zeros((len(phase), 3))
    if movement.path in ("straight", "arc", "zigzag"):
        direction = np.array(DIRECTIONS[movement.direction])
        vertical = movement.direction in ("up", "down")
        path = _PATH_SIZE * step[:, None] * direction
        if movement.path == "arc":
            bump = np.array([0.0, 0.0, 1.0]) if vertical else np.array([0.0, -1.0, 0.2])
            path += 0.26 * (4.0 * step * (1.0 - step))[:, None] * bump
        elif movement.path == "zigzag":
            swing = np.array([1.0, 0.0, 0.0]) if vertical else np.array([0.0, 1.0, 0.0])
            path += 0.15 * np.sin(6.0 * np.pi * step)[:, None] * swing
    elif movement.path == "circle":
        turns = 0.5 * (phase + minimum_jerk(phase)) * movement.repeat
        angle = 2.0 * np.pi * turns + (np.pi if opposite else 0.0)
        if movement.direction == "level":
            path = 0.15 * np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=-1)
        else:
            way = 1.0 if movement.direction == "upright_in" else -1.0
            path = 0.15 * np.stack([way * np.sin(angle), -np.cos(angle), 0 * angle], axis=-1)
    elif movement.path == "shake":
        path[:, 0] = 0.16 * np.sin(2.0 * np.pi * movement.repeat * phase)
    elif movement.path == "tap":
        path = 0.24 * (1.0 - step)[:, None] * away
    return path


def _away(location: str) -> np.ndarray:
    """Direction from which a tap comes."""
    if location in ("cheek", "temple"):
        way = np.array([-0.9, 0.1, 0.4])
    elif location.startswith("base"):
        way = np.array([-0.2, -0.95, 0.1])
    else:
        way = np.array([-0.5, 0.35, 0.8])
    return way / np.linalg.norm(way)


def _contact_point(sign: Sign) -> np.ndarray:
    """The point of the acting hand that goes to the place, in the frame of the hand (3,)."""
    points = hand_points(HANDSHAPES[sign.handshape[0]].angles())
    if sign.contact == "tips":
        return points[HANDSHAPES[sign.handshape[0]].tip_joint]
    return 0.6 * points[9] + np.array([0.0, 0.0, 0.06])


def _hand_angles(sign: Sign, profile: SignerProfile, timing: Timing, opposite: bool, draw: np.ndarray) -> np.ndarray:
    """Finger angles (T, 20) of an acting hand."""
    start, end = (HANDSHAPES[name].angles() for name in sign.handshape)
    relaxed = HANDSHAPES["relaxed"].angles()
    change = back_and_forth(timing.phase, sign.movement.repeat)
    if opposite:
        change = 1.0 - change
    shape = start + change[:, None] * (end - start) + np.deg2rad(6.0) * draw
    firm = minimum_jerk(1.25 * timing.envelope) * (1.0 - profile.laxness)
    angles = relaxed + firm[:, None] * (shape - relaxed)
    if sign.movement.local == "wiggle":
        beat = 2.0 * np.pi * 2.2 * timing.seconds[:, None] + np.arange(4) * 1.3
        inside = timing.envelope * np.sin(np.pi * np.clip(timing.phase, 0.02, 0.98)) ** 0.5
        angles[:, 0:12:3] += np.deg2rad(24.0) * inside[:, None] * (1.0 + np.sin(beat))
    return angles


def _arm(
    profile: SignerProfile,
    shoulder: np.ndarray,
    envelope: np.ndarray,
    target: np.ndarray,
    frame: np.ndarray,
    local: np.ndarray | None,
    angles: np.ndarray,
    idle_draw: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Elbow (T, 3) and hand (T, 21, 3) of a right arm whose wrist goes to ``target`` (T, 3)."""
    wrist_idle, palm_idle, fingers_idle = (np.array(v) for v in IDLE_POSTURES[profile.idle])
    reach = (profile.upper_arm + profile.forearm) / 1.56
    wrist_idle = wrist_idle * np.array([1.0, reach, 1.0]) + 0.04 * idle_draw
    at_rest = hand_frame(palm_idle, fingers_idle)
    mix = envelope[:, None]
    between = 4.0 * mix * (1.0 - mix) * np.array([-0.06, 0.0, 0.14])
    wrist = wrist_idle + mix * (target - wrist_idle) + between
    elbow, wrist = solve_elbow(shoulder, wrist, profile.upper_arm, profile.forearm)
    turn = at_rest @ rotations(envelope[:, None] * rotation_vector(at_rest.T @ frame))
    if local is not None:
        turn = turn @ local
    points = hand_points(angles) * profile.hand
    return elbow, wrist[:, None] + points @ np.swapaxes(turn, -1, -2)


def _local_rotation(movement: Movement, timing: Timing, opposite: bool) -> np.ndarray | None:
    if movement.local not in ("twist", "nod"):
        return None
    swing = np.sin(2.0 * np.pi * movement.repeat * timing.phase) * timing.envelope
    vectors = np.zeros((len(swing), 3))
    vectors[:, 0 if movement.local == "twist" else 1] = np.deg2rad(42.0) * swing
    return rotations(-vectors if opposite else vectors)


def _place(sign: Sign, profile: SignerProfile, head: np.ndarray) -> np.ndarray:
    """Place of articulation of the right hand (T, 3); not for places on the base hand."""
    location = LOCATIONS[sign.location]
    point = np.array(location.point)
    if sign.hands in ("symmetric", "alternating"):
        point[0] = min(point[0], -0.17)  # two hands do not fit on the mid-line
    if sign.contact == "near" and location.touch is not None:
        point = point + np.array([-0.06, 0.04, 0.22])
    if location.on_head:
        return _NECK + profile.head * ((point - _NECK) @ np.swapaxes(head, -1, -2))
    if point[1] > 0.0:
        point[1] *= profile.torso
    return np.broadcast_to(point, (len(head), 3))


def body_motion(sign: Sign, profile: SignerProfile, rng: np.random.Generator, variation: float = 1.0) -> Motion:
    """Performs a sign in three dimensions.

    ``variation`` scales what changes from take to take (tempo, place, hand, face); 0 = none.
    """
    draw = variation * rng.standard_normal(96)
    timing = time_sign(sign, profile, draw[:8])
    frames = len(timing.phase)
    sway = 0.012 * variation * np.sin(2.0 * np.pi * 0.3 * timing.seconds[:, None] + 3.0 * draw[8:11])
    head = head_turns(sign, profile, timing, draw[11:17])
    size = profile.amplitude * float(np.exp(0.18 * draw[17]))
    turn = rotations(profile.turn + 0.15 * draw[18:21])
    touching = sign.contact != "near"
    shift = (0.45 if touching else 1.0) * (profile.place_shift + 0.05 * draw[21:24])
    fingers = draw[24:44]

    raised = timing.envelope[:, None] * np.array([0.0, -0.03, 0.0])
    still = np.broadcast_to(np.array([-0.5, 0.0, 0.0]), (frames, 3))
    relaxed = np.broadcast_to(HANDSHAPES["relaxed"].angles() + np.deg2rad(6.0) * draw[44:64], (frames, 20))

    # Left arm, as a right arm in the mirror.
    both = sign.hands in ("symmetric", "alternating")
    frame = turn @ hand_frame(*(np.array(DIRECTIONS[d]) for d in sign.orientation), tilt=0.28)
    contact = frame @ _contact_point(sign) * profile.hand
    away = _away(sign.location)
    if both:
        opposite = sign.hands == "alternating"
        path = _place(sign, profile, head * np.array([[1, -1, -1], [-1, 1, 1], [-1, 1, 1]]))
        path = path + shift + size * _displacement(sign.movement, away, timing.phase, opposite)
        left_angles = _hand_angles(sign, profile, timing, opposite, draw[64:84])
        left_turn, left_local = frame, _local_rotation(sign.movement, timing, opposite)
        left_target, left_mix, left_shoulder = path - contact, timing.envelope, still + raised
    elif sign.base is not None:
        left_turn = turn @ hand_frame(*(np.array(DIRECTIONS[d]) for d in sign.base.orientation), tilt=0.28)
        base_angles = HANDSHAPES[sign.base.handshape].angles() + np.deg2rad(6.0) * draw[64:84]
        firm = (minimum_jerk(1.25 * timing.envelope) * (1.0 - profile.laxness))[:, None]
        left_angles = relaxed + firm * (base_angles - relaxed)
        left_target = np.broadcast_to(np.array([-0.20, 0.62 * profile.torso, 0.55]) + shift, (frames, 3))
        left_mix, left_local, left_shoulder = timing.envelope, None, still + raised
    else:
        # The resting arm does not move (sway aside): one frame is computed and serves for all.
        left_turn, left_angles, left_local = np.eye(3), relaxed[:1], None
        left_target, left_mix, left_shoulder = np.zeros((1, 3)), np.zeros(1), still[:1]
    left_elbow, left_hand = _arm(
        profile,
        left_shoulder,
        left_mix,
        left_target,
        left_turn,
        left_local,
        left_angles,
        draw[84:87],
    )

    # Right arm.
    if sign.base is not None:
        # The place is a point of the base hand, taken where that hand rests during the sign.
        palm = hand_points(HANDSHAPES[sign.base.handshape].angles())[9] * 0.6
        if sign.location == "base_palm":
            spot = left_turn @ (palm * profile.hand) + np.array([0.0, -0.05, 0.0])
        else:
            spot = left_turn @ (palm * profile.hand) + np.array([0.0, -0.12, 0.0])
        lift = np.array([0.0, 0.0 if touching else -0.14, 0.0])
        place = (left_hand[:, 0] + spot + lift) * MIRROR
    else:
        place = _place(sign, profile, head) + shift
    place = place + size * _displacement(sign.movement, away, timing.phase, opposite=False)
    right_angles = _hand_angles(sign, profile, timing, False, fingers)
    local = _local_rotation(sign.movement, timing, opposite=False)
    right_shoulder = still + raised
    right_elbow, right_hand = _arm(
        profile,
        right_shoulder,
        timing.envelope,
        place - contact,
        frame,
        local,
        right_angles,
        draw[87:90],
    )
    anchor = right_hand[:, 0] + contact

    body = np.zeros((frames, NUM_POINTS, 3))
    face = face_points(sign, profile, timing, draw[90:95])
    figure = np.concatenate(
        [face[:, NOSE_TIP : NOSE_TIP + 1], np.broadcast_to(EYES_AND_EARS, (frames, 4, 3)), face],
        axis=1,
    )
    figure = _NECK + profile.head * ((figure - _NECK) @ np.swapaxes(head, -1, -2))
    body[:, 0:5], body[:, FACE] = figure[:, :5], figure[:, 5:]
    body[:, LEFT_HAND], body[:, RIGHT_HAND] = left_hand * MIRROR, right_hand
    body[:, 5], body[:, 6] = left_shoulder * MIRROR, right_shoulder
    body[:, 7], body[:, 8] = left_elbow * MIRROR, right_elbow
    body[:, 9], body[:, 10] = body[:, 91], body[:, 112]
    hip = 1.36 * profile.torso
    legs = np.array(
        [(-0.33, hip, 0), (-0.34, hip + 1.1, 0.04), (-0.34, hip + 2.2, 0)]
        + [(-0.40, hip + 2.36, 0.3), (-0.50, hip + 2.36, 0.24), (-0.34, hip + 2.3, -0.08)]
    ) * np.array([profile.hips, 1.0, 1.0])
    body[:, [12, 14, 16, 20, 21, 22]] = legs
    body[:, [11, 13, 15, 17, 18, 19]] = legs * MIRROR
    body[:, :11] += sway[:, None]
    body[:, 23:] += sway[:, None]
    anchor, place = anchor + sway, place + sway
    if profile.left_handed:
        body = (body * MIRROR)[:, list(get_layout("wholebody133").swap)]
        anchor, place = anchor * MIRROR, place * MIRROR
    camera = profile.camera
    return Motion(body, anchor, place, timing.envelope, timing.phase, camera.fps, camera.image_size)
