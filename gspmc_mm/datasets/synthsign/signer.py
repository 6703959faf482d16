"""The kinematic signer: performs SYNTHETIC signs as 133 COCO-WholeBody key points in pixels.

A performance is rest, preparation, stroke, hold, retraction. Wrists follow minimum-jerk profiles
(Flash and Hogan 1985), elbows come from two-link inverse kinematics, hands from finger angles, the
face from a 68-point model with mouth, brow and eye actions that turns with the head. Everything is
three-dimensional until a weak perspective camera looks at it.

Body frame: origin between the shoulders, unit = shoulder width, x to the signer's left, y down,
z towards the camera; the signer faces the camera, so the signer's right side has the smaller x.
Both arms are computed as right arms and the left one is mirrored; a left-handed signer is the
mirror image of the whole figure.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gspmc_mm.datasets.synthsign.handshapes import HANDSHAPES, hand_points
from gspmc_mm.datasets.synthsign.lexicon import DIRECTIONS, LOCATIONS, Movement, Sign
from gspmc_mm.skeleton import get_layout

NUM_POINTS = 133
FACE, LEFT_HAND, RIGHT_HAND = slice(23, 91), slice(91, 112), slice(112, 133)
MIN_FRAMES, MAX_FRAMES = 30, 90

_NECK = np.array([0.0, -0.20, 0.0])
_MIRROR = np.array([-1.0, 1.0, 1.0])
_PATH_SIZE = 0.48
_CAMERA_DISTANCE = 6.0
_IDLE = {
    # wrist, palm, fingers of a resting right hand
    "sides": ((-0.64, 1.36, 0.10), (1.0, 0.0, 0.2), (0.05, 1.0, 0.15)),
    "belly": ((-0.26, 1.02, 0.42), (0.0, 0.3, -1.0), (1.0, 0.25, 0.2)),
    "lap": ((-0.40, 1.22, 0.40), (0.3, 0.4, -1.0), (0.6, 0.8, 0.3)),
}


# ------------------------------------------------------------------------------- the signer
@dataclass(frozen=True)
class Camera:
    """Where the camera stands and what it records.

    Attributes:
        image_size: (width, height) in pixels.
        fps: 25 or 30.
        scale: shoulder width in parts of the image height.
        centre: place of the point between the shoulders, in parts of width and height.
        yaw, pitch, roll: in radians: signer turned to the left, camera from above, image turned.
    """

    image_size: tuple[int, int] = (640, 480)
    fps: float = 25.0
    scale: float = 0.33
    centre: tuple[float, float] = (0.5, 0.44)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True, eq=False)
class SignerProfile:
    """Body and habits of one synthetic signer; the defaults are an average signer without habits.

    Lengths are in shoulder widths, angles in radians.

    Attributes:
        left_handed: performs the mirror image of every sign.
        upper_arm, forearm, hand: lengths (hand: wrist to tip of the middle finger).
        head, torso, hips: factors on head size, torso length, hip width.
        speed, amplitude: factors on tempo and on the size of movements.
        place_shift: (3,) habitual displacement of the place of articulation.
        turn: (3,) habitual rotation of the hands (rotation vector).
        laxness: 0 = shapes as in the lexicon, 1 = a relaxed hand.
        expression: factor on the actions of mouth, brows, eyes and head.
        idle: posture between signs: 'sides', 'belly' or 'lap'.
        face_shape: (68, 3) displacement of the points of the face.
        noise: factor on the jitter of the points.
        loss: mean number of bursts per clip in which a hand is lost.
        camera: the camera this signer was recorded with.
    """

    left_handed: bool = False
    upper_arm: float = 0.84
    forearm: float = 0.72
    hand: float = 0.50
    head: float = 1.0
    torso: float = 1.0
    hips: float = 1.0
    speed: float = 1.0
    amplitude: float = 1.0
    place_shift: np.ndarray = field(default_factory=lambda: np.zeros(3))
    turn: np.ndarray = field(default_factory=lambda: np.zeros(3))
    laxness: float = 0.0
    expression: float = 1.0
    idle: str = "sides"
    face_shape: np.ndarray = field(default_factory=lambda: np.zeros((68, 3)))
    noise: float = 1.0
    loss: float = 0.35
    camera: Camera = Camera()


def is_left_handed(index: int) -> bool:
    """Every eighth signer (12.5 %) is left-handed, the sixth being the first.

    A rule and not a draw: a small set of signers always has its share.
    """
    return index % 8 == 5


def draw_signer(seed: int, index: int) -> SignerProfile:
    """Signer ``index`` of the population ``seed``; depends on nothing else."""
    rng = np.random.default_rng([seed, 0x51673, index])
    hd = bool(rng.random() < 0.5)
    camera = Camera(
        image_size=(1280, 720) if hd else (640, 480),
        fps=float(rng.choice([25, 30])),
        scale=float(rng.uniform(0.27, 0.35)),
        centre=(float(rng.uniform(0.44, 0.56)), float(rng.uniform(0.42, 0.47))),
        yaw=float(rng.normal(0.0, 0.16)),
        pitch=float(rng.normal(0.05, 0.07)),
        roll=float(rng.normal(0.0, 0.03)),
    )
    return SignerProfile(
        left_handed=is_left_handed(index),
        upper_arm=float(rng.uniform(0.76, 0.90)),
        forearm=float(rng.uniform(0.66, 0.78)),
        hand=float(rng.uniform(0.44, 0.55)),
        head=float(rng.uniform(0.90, 1.10)),
        torso=float(rng.uniform(0.92, 1.08)),
        hips=float(rng.uniform(0.88, 1.12)),
        speed=float(np.exp(rng.normal(0.0, 0.20))),
        amplitude=float(np.exp(rng.normal(0.0, 0.25))),
        place_shift=rng.normal(0.0, (0.06, 0.06, 0.08)),
        turn=rng.normal(0.0, 0.20, 3),
        laxness=float(rng.uniform(0.0, 0.38)),
        expression=float(rng.uniform(0.45, 1.15)),
        idle=str(rng.choice(list(_IDLE))),
        face_shape=rng.normal(0.0, 0.004, (68, 3)),
        noise=float(rng.uniform(0.7, 1.7)),
        loss=float(rng.uniform(0.1, 0.8)),
        camera=camera,
    )


# -------------------------------------------------------------------------- small mathematics
def minimum_jerk(x: np.ndarray) -> np.ndarray:
    """Minimum-jerk rise from 0 to 1, clipped outside (Flash and Hogan 1985)."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (10.0 + x * (-15.0 + 6.0 * x))


def back_and_forth(phase: np.ndarray, repeat: int) -> np.ndarray:
    """0 -> 1 in minimum jerk, made ``repeat`` times (with the ways back between), (T,) -> (T,)."""
    halves = 2 * repeat - 1
    position = np.clip(phase, 0.0, 1.0) * halves
    half = np.minimum(np.floor(position), halves - 1)
    rise = minimum_jerk(position - half)
    return np.where(half % 2 == 0, rise, 1.0 - rise)


def rotations(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3) (Rodrigues)."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    angle = np.sqrt(x * x + y * y + z * z)
    safe = np.where(angle > 1e-12, angle, 1.0)
    x, y, z = x / safe, y / safe, z / safe
    cos, sin = np.cos(angle), np.sin(angle)
    rest = 1.0 - cos
    matrices = np.empty((*vectors.shape, 3))
    matrices[..., 0, 0] = cos + rest * x * x
    matrices[..., 1, 1] = cos + rest * y * y
    matrices[..., 2, 2] = cos + rest * z * z
    for row, column, symmetric, skew in ((0, 1, x * y, z), (2, 0, x * z, y), (1, 2, y * z, x)):
        matrices[..., row, column] = rest * symmetric - sin * skew
        matrices[..., column, row] = rest * symmetric + sin * skew
    return matrices


def rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Rotation vector (3,) of one rotation matrix (3, 3); inverse of :func:`rotations`."""
    angle = np.arccos(np.clip((np.trace(matrix) - 1.0) / 2.0, -1.0, 1.0))
    skew = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
    if angle < 1e-9:
        return np.zeros(3)
    if np.pi - angle < 1e-6:  # the skew part vanishes at half a turn; the axis is in R + 1
        columns = matrix + np.eye(3)
        axis = columns[:, np.argmax(np.linalg.norm(columns, axis=0))]
    else:
        axis = skew
    return axis / np.linalg.norm(axis) * angle


def hand_frame(palm: np.ndarray, fingers: np.ndarray, tilt: float = 0.0) -> np.ndarray:
    """Frame (3, 3) of a right hand, columns u (fingers), v (thumb side), w (palm), in body axes.

    ``tilt`` bends the fingers a little up and inwards, as a relaxed wrist does.
    """
    w = palm / np.sqrt(palm @ palm)
    u = fingers + tilt * np.array([0.4, -0.8, 0.3])
    u = u - (u @ w) * w
    u = u / np.sqrt(u @ u)
    v = (w[1] * u[2] - w[2] * u[1], w[2] * u[0] - w[0] * u[2], w[0] * u[1] - w[1] * u[0])
    return np.array([u, v, w]).T


def solve_elbow(
    shoulder: np.ndarray, wrist: np.ndarray, upper_arm: float, forearm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two-link inverse kinematics of a right arm, elbow down and outwards.

    Args:
        shoulder: (T, 3).
        wrist: (T, 3), where it should go.
        upper_arm: length of the upper arm.
        forearm: length of the forearm.

    Returns:
        elbow and wrist (T, 3); a wrist out of reach is moved along the line from the shoulder, so
        both lengths always hold.
    """
    line = wrist - shoulder
    far = np.linalg.norm(line, axis=-1, keepdims=True)
    direction = line / np.maximum(far, 1e-9)
    reach = np.clip(far, abs(upper_arm - forearm) + 0.05, 0.995 * (upper_arm + forearm))
    along = (upper_arm**2 - forearm**2 + reach**2) / (2.0 * reach)
    height = np.sqrt(np.maximum(upper_arm**2 - along**2, 0.0))
    pole = np.array([-0.75, 0.9, -0.25])
    side = pole - (direction @ pole)[:, None] * direction
    side /= np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-9)
    return shoulder + along * direction + height * side, shoulder + reach * direction


# --------------------------------------------------------------------------------- the face
def _face_points(
    mouth: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 1.0),
    brow: tuple[float, float, float] = (0.0, 0.0, 0.0),
    eye: float = 1.0,
) -> np.ndarray:
    """The 68 points of the face in iBUG order, (68, 3), in body units.

    Args:
        mouth: (width factor, opening, corners down by, lip thickness factor).
        brow: (whole brow down by, inner end down by, inner end inwards by).
        eye: opening of the lids, 1 = normal.
    """
    width, opening, corners, thickness = mouth
    face = np.zeros((68, 3))
    turn = np.linspace(0.0, np.pi, 17)
    sine = np.sin(turn)
    face[:17, 0] = -0.205 * np.cos(turn)
    face[:17, 1] = -0.67 + 0.30 * sine**0.85 + 0.75 * opening * sine**2
    face[:17, 2] = 0.04 + 0.28 * sine**1.5
    along = np.linspace(0.0, 1.0, 5)
    brows = np.stack(
        [
            -0.165 + 0.125 * along + brow[2] * along**2,
            -0.775 - 0.028 * np.sin(np.pi * along) + brow[0] + brow[1] * along**2,
            0.22 + 0.13 * along,
        ],
        axis=-1,
    )
    face[17:22] = brows
    face[22:27] = (brows * _MIRROR)[::-1]
    drop = np.linspace(0.0, 1.0, 4)
    face[27:31] = np.stack([0 * drop, -0.70 + 0.11 * drop, 0.35 + 0.09 * drop], axis=-1)
    across = np.linspace(-1.0, 1.0, 5)
    face[31:36] = np.stack([0.05 * across, -0.545 - 0.012 * np.abs(across), 0.38 - 0.03 * np.abs(across)], axis=-1)
    corner = np.deg2rad([180.0, 120.0, 60.0, 0.0, -60.0, -120.0])
    right_eye = np.stack(
        [-0.088 + 0.042 * np.cos(corner), -0.70 - 0.020 * eye * np.sin(corner), 0 * corner + 0.31],
        axis=-1,
    )
    face[36:42] = right_eye
    face[42:48] = (right_eye * _MIRROR)[[3, 2, 1, 0, 5, 4]]
    outer, inner = (
        np.deg2rad(np.arange(180.0, -180.0, -30.0)),
        np.deg2rad(np.arange(180.0, -180.0, -45.0)),
    )
    for span, angle, half, lips in (
        (slice(48, 60), outer, 0.088, 0.032),
        (slice(60, 68), inner, 0.072, 0.004),
    ):
        lift = np.sin(angle)
        face[span, 0] = half * width * np.cos(angle)
        face[span, 1] = -0.475 - lips * thickness * lift + opening * (0.55 - 0.45 * lift - (lift > 0) * 0.35)
        face[span, 1] += corners * np.cos(angle) ** 2 - opening * 0.25 * (np.abs(lift) < 1e-9)
        face[span, 2] = 0.36 - 0.05 * np.cos(angle) ** 2 * width
    return face


_FACE = _face_points()
_MOUTHS = {
    "open": _face_points(mouth=(0.92, 0.11, 0.0, 1.0)),
    "rounded": _face_points(mouth=(0.55, 0.035, 0.0, 1.25)),
    "smile": _face_points(mouth=(1.35, 0.012, -0.034, 0.85)),
    "pressed": _face_points(mouth=(1.05, -0.012, 0.0, 0.30)),
    "corners_down": _face_points(mouth=(0.98, 0.0, 0.034, 1.0)),
    "open_close": _face_points(mouth=(0.92, 0.10, 0.0, 1.0)),
}
_BROWS = {
    "raised": _face_points(brow=(-0.048, 0.0, 0.0)),
    "furrowed": _face_points(brow=(0.014, 0.032, 0.018)),
}
_EYES = {
    "wide": _face_points(eye=1.6),
    "narrowed": _face_points(eye=0.45),
    "closed": _face_points(eye=0.06),
}
# Eyes and ears of the body skeleton: left eye, right eye, left ear, right ear.
_EYES_EARS = np.array([[0.088, -0.70, 0.31], [-0.088, -0.70, 0.31], [0.215, -0.655, 0.03], [-0.215, -0.655, 0.03]])
_NOSE_TIP = 30


# ------------------------------------------------------------------------------- the motion
@dataclass(frozen=True)
class Performance:
    """A sign performed once.

    Attributes:
        keypoint: (T, 133, 2) float32 pixels.
        score: (T, 133) float32 in [0, 1].
        points3d: (T, 133, 3) the body before the camera, shoulder widths, without jitter.
        anchor: (T, 3) the point of the right hand that goes to the place of articulation (of the
            left hand for a left-handed signer).
        place: (T, 3) the place it is sent to, movement included.
        envelope: (T,) 0 at rest, 1 during stroke and hold.
        phase: (T,) 0 before the stroke, 1 after it.
        fps: frames per second.
        image_size: (width, height).
    """

    keypoint: np.ndarray
    score: np.ndarray
    points3d: np.ndarray
    anchor: np.ndarray
    place: np.ndarray
    envelope: np.ndarray
    phase: np.ndarray
    fps: float
    image_size: tuple[int, int]


@dataclass(frozen=True)
class _Timing:
    seconds: np.ndarray  # (T,)
    envelope: np.ndarray  # (T,)
    phase: np.ndarray  # (T,)


def _timing(sign: Sign, profile: SignerProfile, draw: np.ndarray) -> _Timing:
    movement = sign.movement
    cycles = movement.repeat if movement.path != "still" or movement.local != "none" else 1
    stroke = 0.50 + 0.38 * (cycles - 1)
    if movement.path in ("circle", "zigzag"):
        stroke += 0.35
    tempo = np.exp(0.10 * draw[:6]) / profile.speed
    spans = np.array([0.12, 0.42, stroke, 0.22, 0.42, 0.12]) * tempo
    spans[0] *= np.exp(0.6 * draw[6])
    spans[5] = max(spans[5] + 0.15 * draw[7], -0.5 * spans[4])  # some clips are cut during the way back
    begin, ready, done, leave, rest = np.cumsum(spans[:5])
    total = rest + spans[5]
    frames = int(np.clip(round(total * profile.camera.fps), MIN_FRAMES, MAX_FRAMES))
    seconds = np.linspace(0.0, total, frames)
    rise = minimum_jerk((seconds - begin) / (ready - begin))
    fall = minimum_jerk((seconds - leave) / (rest - leave))
    phase = np.clip((seconds - ready) / (done - ready), 0.0, 1.0)
    return _Timing(seconds, rise * (1.0 - fall), phase)


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


def _hand_angles(sign: Sign, profile: SignerProfile, timing: _Timing, opposite: bool, draw: np.ndarray) -> np.ndarray:
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
    wrist_idle, palm_idle, fingers_idle = (np.array(v) for v in _IDLE[profile.idle])
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


def _local_rotation(movement: Movement, timing: _Timing, opposite: bool) -> np.ndarray | None:
    if movement.local not in ("twist", "nod"):
        return None
    swing = np.sin(2.0 * np.pi * movement.repeat * timing.phase) * timing.envelope
    vectors = np.zeros((len(swing), 3))
    vectors[:, 0 if movement.local == "twist" else 1] = np.deg2rad(42.0) * swing
    return rotations(-vectors if opposite else vectors)


def _head_turns(sign: Sign, profile: SignerProfile, timing: _Timing, draw: np.ndarray) -> np.ndarray:
    """Rotations of the head (T, 3, 3)."""
    wave = 2.0 * np.pi * timing.seconds[:, None]
    idle = np.deg2rad(2.5) * (draw[:3] + 0.6 * np.sin(0.45 * wave + 3.0 * draw[3:6]))
    pitch, yaw, roll = 0.0, 0.0, 0.0
    beat = np.sin(2.0 * np.pi * 2.0 * timing.phase)
    if sign.head == "nod":
        pitch = 12.0 * (1.0 - np.cos(2.0 * np.pi * 2.0 * timing.phase))
    elif sign.head == "shake":
        yaw = 20.0 * beat
    elif sign.head == "tilt_right":
        roll = 14.0
    elif sign.head == "tilt_left":
        roll = -14.0
    elif sign.head == "back":
        pitch = -17.0
    elif sign.head == "turn_left":
        yaw = 24.0
    pitch, yaw, roll = (
        np.deg2rad(a) * profile.expression * timing.envelope + idle[:, k] for k, a in enumerate((pitch, yaw, roll))
    )
    # Pitch is positive downwards, yaw to the signer's left, roll to the signer's right.
    return rotations(np.stack([-pitch, yaw, -roll], axis=-1))


def _face(sign: Sign, profile: SignerProfile, timing: _Timing, draw: np.ndarray) -> np.ndarray:
    """Face points (T, 68, 3) before the head turns."""
    weight = minimum_jerk(1.4 * timing.envelope) * profile.expression
    drift = 0.10 * draw
    base = _FACE + profile.face_shape
    moving = []
    for table, action, idle, wander in (
        (_MOUTHS, sign.mouth, "open", abs(drift[0])),
        (_BROWS, sign.brows, "raised", drift[1]),
        (_EYES, sign.eyes, "narrowed", drift[2]),
    ):
        base = base + wander * (table[idle] - _FACE)
        if action == "neutral":
            continue
        amount = weight
        if action == "open_close":
            amount = weight * 0.5 * (1.0 - np.cos(2.0 * np.pi * 2.0 * timing.phase))
        elif action == "closed":
            amount = np.minimum(weight * 1.6, 1.0)  # closed eyes are closed, however shy the signer
        moving.append((amount, table[action] - _FACE))
    if sign.eyes != "closed":  # a blink of about a fifth of a second in some clips
        when = (draw[3] * 0.25 + 0.5) * timing.seconds[-1]
        blink = np.exp(-(((timing.seconds - when) / 0.07) ** 2)) * (draw[4] > 0.3)
        moving.append((blink, _EYES["closed"] - _FACE))
    # (T, actions) @ (actions, 68 * 3): all actions in one product
    amounts = np.stack([amount for amount, _ in moving] + [np.ones_like(weight)], axis=1)
    shapes = np.stack([shape for _, shape in moving] + [base]).reshape(-1, 68 * 3)
    return (amounts @ shapes).reshape(-1, 68, 3)


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


def body_motion(sign: Sign, profile: SignerProfile, rng: np.random.Generator, variation: float = 1.0) -> Performance:
    """Performs a sign in three dimensions; ``keypoint`` and ``score`` are still empty.

    ``variation`` scales what changes from take to take (tempo, place, hand, face); 0 = none.
    """
    draw = variation * rng.standard_normal(96)
    timing = _timing(sign, profile, draw[:8])
    frames = len(timing.phase)
    sway = 0.012 * variation * np.sin(2.0 * np.pi * 0.3 * timing.seconds[:, None] + 3.0 * draw[8:11])
    head = _head_turns(sign, profile, timing, draw[11:17])
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
        place = (left_hand[:, 0] + spot + lift) * _MIRROR
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
    face = _face(sign, profile, timing, draw[90:95])
    figure = np.concatenate(
        [face[:, _NOSE_TIP : _NOSE_TIP + 1], np.broadcast_to(_EYES_EARS, (frames, 4, 3)), face],
        axis=1,
    )
    figure = _NECK + profile.head * ((figure - _NECK) @ np.swapaxes(head, -1, -2))
    body[:, 0:5], body[:, FACE] = figure[:, :5], figure[:, 5:]
    body[:, LEFT_HAND], body[:, RIGHT_HAND] = left_hand * _MIRROR, right_hand
    body[:, 5], body[:, 6] = left_shoulder * _MIRROR, right_shoulder
    body[:, 7], body[:, 8] = left_elbow * _MIRROR, right_elbow
    body[:, 9], body[:, 10] = body[:, 91], body[:, 112]
    hip = 1.36 * profile.torso
    legs = np.array(
        [(-0.33, hip, 0), (-0.34, hip + 1.1, 0.04), (-0.34, hip + 2.2, 0)]
        + [(-0.40, hip + 2.36, 0.3), (-0.50, hip + 2.36, 0.24), (-0.34, hip + 2.3, -0.08)]
    ) * np.array([profile.hips, 1.0, 1.0])
    body[:, [12, 14, 16, 20, 21, 22]] = legs
    body[:, [11, 13, 15, 17, 18, 19]] = legs * _MIRROR
    body[:, :11] += sway[:, None]
    body[:, 23:] += sway[:, None]
    anchor, place = anchor + sway, place + sway
    if profile.left_handed:
        body = (body * _MIRROR)[:, list(get_layout("wholebody133").swap)]
        anchor, place = anchor * _MIRROR, place * _MIRROR
    empty = np.zeros((frames, 0, 2), np.float32)
    return Performance(
        empty, empty[..., 0], body, anchor, place, timing.envelope, timing.phase,
        profile.camera.fps, profile.camera.image_size,
    )  # fmt: skip


# ------------------------------------------------------------------------- camera and estimator
def project(points: np.ndarray, camera: Camera, tilt: np.ndarray | None = None) -> np.ndarray:
    """Weak perspective image of (T, V, 3) body points: (T, V, 2) pixels, y down.

    ``tilt`` (3,) is added to pitch, yaw and roll of the camera (radians).
    """
    pitch, yaw, roll = np.array([camera.pitch, camera.yaw, camera.roll]) + (0.0 if tilt is None else tilt)
    turn = rotations(np.array([-pitch, 0, 0])) @ rotations(np.array([0, yaw, 0]))
    # One flat product of float32: an error of 1e-4 pixel, a quarter of the time.
    seen = points.reshape(-1, 3).astype(np.float32) @ turn.T.astype(np.float32)
    width, height = camera.image_size
    near = 1.0 - np.minimum(seen[:, 2:], 2.0) / _CAMERA_DISTANCE
    cos, sin = np.cos(roll), np.sin(roll)
    roll_and_scale = camera.scale * height * np.array([[cos, sin], [-sin, cos]], dtype=np.float32)
    image = (seen[:, :2] / near) @ roll_and_scale
    image += np.array([camera.centre[0] * width, camera.centre[1] * height], dtype=np.float32)
    return image.reshape(*points.shape[:-1], 2)


def _jitter_sizes() -> np.ndarray:
    """Standard deviation of the jitter of every point, in shoulder widths (133,)."""
    sizes = np.full(NUM_POINTS, 0.010)
    sizes[11:23] = 0.03
    sizes[FACE] = 0.0045
    sizes[LEFT_HAND] = sizes[RIGHT_HAND] = 0.009
    sizes[[95, 99, 103, 107, 111, 116, 120, 124, 128, 132]] = 0.012
    return sizes.astype(np.float32)


_JITTER = _jitter_sizes()
# Jitter added per shoulder width of movement between two frames: fingers blur most.
_BLUR = np.where(np.arange(NUM_POINTS) >= 91, 0.10, 0.03).astype(np.float32)


def observe(
    clean: np.ndarray, profile: SignerProfile, rng: np.random.Generator, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """What a pose estimator makes of the true image points.

    Jitter that is correlated in time and grows with the speed of the hands, confidence that falls
    with it, points outside the image pushed to its border with low confidence, and bursts of frames
    in which a hand is lost: half of them missing (coordinates and confidence 0), half of them
    scattered with low confidence.

    Args:
        clean: (T, 133, 2) pixels.
        profile: gives camera, jitter and losses.
        rng: source of the draws.
        noise: factor on all of it; 0 = perfect estimator (border handling stays).

    Returns:
        keypoint (T, 133, 2) and score (T, 133), float32.
    """
    width, height = profile.camera.image_size
    unit = profile.camera.scale * height
    clean = clean.astype(np.float32)
    frames = len(clean)
    level = noise * profile.noise
    speed = np.zeros(clean.shape[:2], dtype=np.float32)
    step = np.diff(clean, axis=0)
    speed[1:] = np.sqrt(np.square(step[..., 0]) + np.square(step[..., 1])) / unit
    sigma = (_JITTER + _BLUR * np.minimum(speed, 0.3)) * np.float32(unit * level)
    white = rng.standard_normal((frames + 1, NUM_POINTS, 2), dtype=np.float32)
    smooth = (white[1:] + 0.75 * white[:-1]) / 1.25
    keypoint = clean + smooth * sigma[..., None]
    score = 0.93 - noise * (1.1 * np.minimum(speed, 0.35) + 0.05 * np.abs(white[1:, :, 0]))
    score[:, 91:] -= 0.04 * noise
    for hand in (LEFT_HAND, RIGHT_HAND):
        for _ in range(rng.poisson(noise * profile.loss * 0.5)):
            begin = int(rng.integers(0, frames))
            end = begin + int(rng.integers(2, 13))
            if rng.random() < 0.5:
                keypoint[begin:end, hand] = 0.0
                score[begin:end, hand] = 0.0
            else:
                lost = keypoint[begin:end, hand]
                lost += rng.normal(0.0, 0.12 * unit, lost.shape)
                score[begin:end, hand] = rng.uniform(0.03, 0.22, lost.shape[:2])
    gone = score == 0.0
    x, y = keypoint[..., 0], keypoint[..., 1]
    outside = ((x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)) & ~gone
    score = np.where(outside, 0.02 + 0.10 * rng.random(score.shape, dtype=np.float32), score)
    score = np.where(gone, 0.0, np.clip(score, 0.02, 1.0))
    border = np.array([width - 1, height - 1], dtype=np.float32)
    keypoint = np.clip(keypoint, np.float32(0.0), border)
    return keypoint.astype(np.float32), score.astype(np.float32)


def perform(sign: Sign, profile: SignerProfile, rng: np.random.Generator, noise: float = 1.0) -> Performance:
    """One take of a sign by a signer, seen by camera and pose estimator.

    Args:
        sign: what to perform.
        profile: who performs it.
        rng: all draws of this take.
        noise: factor on the variation between takes, on jitter and on losses; 0 = none of them.
    """
    motion = body_motion(sign, profile, rng, noise)
    clean = project(motion.points3d, profile.camera, 0.03 * noise * rng.standard_normal(3))
    keypoint, score = observe(clean, profile, rng, noise)
    return Performance(
        keypoint, score, motion.points3d, motion.anchor, motion.place, motion.envelope,
        motion.phase, motion.fps, motion.image_size,
    )  # fmt: skip
