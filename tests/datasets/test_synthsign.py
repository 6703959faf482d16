from __future__ import annotations

import importlib.util
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from gspmc_mm.datasets.synthsign import (
    HARD_PAIRS,
    SIGNS,
    Sign,
    SignerProfile,
    SynthSignSpec,
    describe_all,
    differing_parameters,
    draw_signer,
    generate,
    make_clip,
    make_clips,
    perform,
    signer_splits,
)
from gspmc_mm.datasets.synthsign.handshapes import HAND_BONES, HANDSHAPES, hand_points
from gspmc_mm.datasets.synthsign.kinematics import (
    back_and_forth,
    hand_frame,
    minimum_jerk,
    rotation_vector,
    rotations,
    solve_elbow,
)
from gspmc_mm.datasets.synthsign.lexicon import LOCATIONS, STRAIGHT_PATHS, Movement
from gspmc_mm.datasets.synthsign.motion import body_motion
from gspmc_mm.datasets.synthsign.preview import draw_preview
from gspmc_mm.datasets.synthsign.texts import movement_phrase
from gspmc_mm.descriptions import load_descriptions
from gspmc_mm.poses import PoseStore
from gspmc_mm.skeleton import get_layout

BY_GLOSS = {sign.gloss: sign for sign in SIGNS}
IDS = [sign.gloss for sign in SIGNS]
LEFT, RIGHT = 91, 112
DESCRIPTIONS = describe_all(SIGNS)


def clean(sign: Sign | str, **profile):
    """A performance by an average signer without noise."""
    sign = BY_GLOSS[sign] if isinstance(sign, str) else sign
    return perform(sign, SignerProfile(**profile), np.random.default_rng(0), noise=0.0)


def stroke(performance) -> np.ndarray:
    """Frames in which hand and place should agree."""
    return np.flatnonzero(performance.envelope > 0.999)


# --------------------------------------------------------------------------------- the lexicon
def test_lexicon_is_large_enough_and_its_glosses_are_unique():
    assert len(SIGNS) >= 40
    assert len(set(IDS)) == len(SIGNS)
    parameters = {repr(replace(sign, gloss="")) for sign in SIGNS}
    assert len(parameters) == len(SIGNS)


def test_hard_pairs_differ_in_exactly_the_parameter_they_name():
    for pair in HARD_PAIRS:
        found = differing_parameters(BY_GLOSS[pair.first], BY_GLOSS[pair.second])
        assert found == (pair.parameter,), pair


def test_demo_lexicon_has_hard_pairs_of_every_kind():
    demo = set(IDS[:40])
    kinds = Counter(p.parameter for p in HARD_PAIRS if {p.first, p.second} <= demo)
    wanted = {"handshape", "location", "movement", "orientation", "hands", "mouth", "brows", "eyes"}
    assert wanted | {"head"} <= set(kinds)
    directions = 0
    for pair in HARD_PAIRS:
        first, second = BY_GLOSS[pair.first].movement, BY_GLOSS[pair.second].movement
        same = (first.path, first.repeat, first.local) == (second.path, second.repeat, second.local)
        directions += same and first.direction != second.direction
    assert directions >= 3


def test_lexicon_covers_the_manual_and_the_facial_parameters():
    demo = SIGNS[:40]
    assert {s.hands for s in demo} == {"one", "symmetric", "alternating", "base"}
    assert len({shape for s in demo for shape in s.handshape}) >= 12
    assert len({s.location for s in demo}) >= 10
    assert len({s.movement.path for s in demo}) >= 5
    assert any(s.handshape[0] != s.handshape[1] for s in demo)
    assert len({s.mouth for s in demo}) >= 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"location": "moon"}, "location is 'moon'"),
        ({"handshape": ("paw", "paw")}, "unknown hand shape 'paw'"),
        ({"orientation": ("up", "down")}, "right angles"),
        ({"hands": "base"}, "base hand belong together"),
        ({"location": "base_palm"}, "base hand belong together"),
        ({"location": "neutral"}, "cannot be touched"),
        ({"contact": "near", "movement": Movement("tap", "", 2)}, "a tap needs contact"),
    ],
)
def test_contradictory_sign_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message) as error:
        replace(BY_GLOSS["SYN-BALO-02"], **change)
    assert "SYN-BALO-02" in str(error.value)


@pytest.mark.parametrize(
    "values", [("walk",), ("straight", "level"), ("circle", "up"), ("tap", "up"), ("still", "", 4)]
)
def test_impossible_movement_is_refused(values):
    with pytest.raises(ValueError, match=r"path|direction|times"):
        Movement(*values)


# ----------------------------------------------------------------------------------- the texts
def whole_texts(label: int) -> list[str]:
    sign = DESCRIPTIONS.signs[label]
    return [sign.primary, sign.global_, *sign.synonyms]


def test_description_set_says_that_it_is_synthetic():
    assert "SYNTHETIC signs, no real language" in DESCRIPTIONS.generator
    assert DESCRIPTIONS.language == "en"
    assert DESCRIPTIONS.classes == tuple(IDS)
    assert all(gloss.startswith("SYN-") for gloss in IDS)


def test_every_sign_has_its_own_texts():
    texts = Counter(t for label in range(len(SIGNS)) for t in whole_texts(label))
    assert max(texts.values()) == 1, [t for t, n in texts.items() if n > 1]
    for sign in DESCRIPTIONS.signs:
        assert len(sign.synonyms) >= 3
        assert len(sign.global_) < len(sign.primary)


@pytest.mark.parametrize("label", range(len(SIGNS)), ids=IDS)
def test_texts_tell_the_parameters_of_the_sign(label):
    sign = SIGNS[label]
    both = sign.hands in ("symmetric", "alternating")
    for text in whole_texts(label):
        low = text.lower()
        assert ("both hands" in low) == both
        assert LOCATIONS[sign.location].key in low
        for shape in sign.handshape:
            assert any(p.lower() in low for p in HANDSHAPES[shape].phrases), (shape, text)
        for part, words in (
            (sign.mouth, r"mouth|lips"),
            (sign.brows, "eyebrows"),
            (sign.eyes, r"\beyes (are|open|close)|with (wide|narrowed|closed) eyes|eyelids"),
            (sign.head, r"\bhead (nods|shakes|tilts|leans|turns|tilted|turned)|of the head|face turns"),
        ):
            expected = part not in ("neutral", "still")
            if not (words.startswith("mouth") and sign.location == "mouth"):
                assert bool(re.search(words, low)) == expected, (part, text)
        if sign.movement.repeat > 1:
            assert ("twice", "three times")[sign.movement.repeat - 2] in low
        else:
            assert "three times" not in low
        if sign.hands == "alternating":
            assert "in alternation" in low
        if sign.base is not None:
            assert "the left hand" in low
        if sign.movement.path in STRAIGHT_PATHS:
            word = {"in": "left", "out": "right"}.get(sign.movement.direction, sign.movement.direction)
            if both:
                word = {"left": "towards", "right": "apart"}.get(word, word)
            verbs = r"(move|go|travel)"
            assert re.search(rf"{verbs}(e?s)? [^;.]*{word}", low), (word, text)


def test_texts_have_no_slips_of_the_templates():
    everything = [t for label in range(len(SIGNS)) for t in whole_texts(label)]
    everything += [segment.text for sign in DESCRIPTIONS.signs for segment in sign.segments]
    for text in everything:
        assert not re.search(r"  |,,|;;|\.\.| a [aeiou]|\ba two |\ba pairs\b|None|_", text), text
        assert text[0].isupper()
        assert text.endswith(".")


def test_segments_cover_all_parts_and_some_name_two():
    named = Counter(part for sign in DESCRIPTIONS.signs for s in sign.segments for part in s.parts)
    assert set(named) == {"body", "left_hand", "right_hand", "mouth", "face"}
    assert sum(len(s.parts) == 2 for sign in DESCRIPTIONS.signs for s in sign.segments) > 40
    for sign, description in zip(SIGNS, DESCRIPTIONS.signs, strict=True):
        neutral = (sign.brows, sign.eyes, sign.head) == ("neutral", "neutral", "still")
        assert bool(description.part_texts("face")) != neutral
        for part in ("body", "left_hand", "right_hand", "mouth"):
            assert description.part_texts(part)


def test_resting_left_hand_is_one_text_of_many_signs():
    texts = Counter(t for sign in DESCRIPTIONS.signs for t in sign.part_texts("left_hand"))
    assert texts["The left hand is at rest and does not take part."] == sum(sign.hands == "one" for sign in SIGNS)


@pytest.mark.parametrize("pair", HARD_PAIRS, ids=lambda p: f"{p.first}-{p.second[-2:]}")
def test_part_texts_of_a_hard_pair_differ_only_where_the_signs_do(pair):
    first, second = (DESCRIPTIONS.signs[IDS.index(g)] for g in (pair.first, pair.second))
    changed = {p for p in DESCRIPTIONS.parts if first.part_texts(p) != second.part_texts(p)}
    expected = {"mouth": {"mouth", "face"}, "brows": {"face"}, "eyes": {"face", "mouth"}}
    expected["head"] = {"face"}
    if pair.parameter in expected:
        assert changed
        assert changed <= expected[pair.parameter]
    else:
        assert "right_hand" in changed
        assert not changed & {"mouth", "face"}


# ----------------------------------------------------------------------- texts against the motion
def wrist_path(sign: Sign, hand: int) -> np.ndarray:
    """The hand root (T', 3) from the begin to the end of the stroke."""
    shown = clean(sign)
    inside = (shown.phase > 0) & (shown.phase < 1)
    return shown.points3d[inside, hand]


AXES = {"left": (0, 1), "right": (0, -1), "down": (1, 1), "up": (1, -1), "forward": (2, 1)}


@pytest.mark.parametrize("sign", [s for s in SIGNS if s.movement.path in STRAIGHT_PATHS], ids=lambda s: s.gloss)
def test_hand_moves_where_the_text_says(sign):
    text = movement_phrase(sign, 0)
    for side, hand in (("left", LEFT), ("right", RIGHT)):
        other = {"left": "right", "right": "left"}[side]
        if sign.hands == "one" and side == "left":
            assert np.ptp(wrist_path(sign, hand), axis=0).max() < 1e-9
            continue
        if "apart" in text:
            word = side
        elif "each other" in text:
            word = other
        else:
            word = re.search("left|right|downwards|upwards|forward", text).group().replace("wards", "")
        axis, way = AXES[word]
        path = wrist_path(sign, hand)
        extent = np.ptp(path, axis=0)
        assert extent[axis] > 0.3
        assert extent[axis] == extent.max()
        moved = way * (path[-1, axis] - path[0, axis])
        if sign.hands == "alternating" and side == "left":
            moved = -moved
        assert moved > 0.3


@pytest.mark.parametrize("sign", SIGNS, ids=IDS)
def test_palms_face_and_hands_point_where_the_text_says(sign):
    shown = clean(sign)
    named = {"up": (0, -1, 0), "downwards": (0, 1, 0), "forward": (0, 0, 1), "the signer": (0, 0, -1)}
    named |= {"left": (1, 0, 0), "right": (-1, 0, 0)}
    for side, root, way in (("left_hand", LEFT, -1), ("right_hand", RIGHT, 1)):
        texts = [t for t in DESCRIPTIONS.signs[IDS.index(sign.gloss)].part_texts(side) if "facing" in t]
        if not texts:
            assert (side, sign.hands) == ("left_hand", "one")
            continue
        word = re.search(r"palm facing (up|downwards|forward|the signer|left|right)", texts[0]).group(1)
        points = shown.points3d[stroke(shown)]
        along = points[:, root + 9] - points[:, root]
        across = points[:, root + 5] - points[:, root + 17]
        normal = way * np.cross(along, across).mean(0)
        assert normal @ named[word] > 0.85 * np.linalg.norm(normal), (side, word)
        if side == "right_hand" and sign.movement.local == "none":
            pointing = re.search(r"hands? pointing (\w+ ?\w* ?\w*)", DESCRIPTIONS.signs[IDS.index(sign.gloss)].primary)
            goal = {"up": "up", "forward": "forward", "to the left": "left", "inwards": "left"}[pointing.group(1)]
            assert along.mean(0) @ named[goal] > 0.7 * np.linalg.norm(along.mean(0))


def test_symmetric_and_alternating_hands():
    for gloss, sign in (("SYN-SORI-01", 1.0), ("SYN-SORI-02", -1.0)):
        left, right = (wrist_path(BY_GLOSS[gloss], hand)[:, 1] for hand in (LEFT, RIGHT))
        assert np.corrcoef(left, right)[0, 1] == pytest.approx(sign, abs=1e-6)
        assert np.sum(np.diff(np.sign(np.diff(right))) != 0) == 2  # up, back, up: twice


def test_mouth_brows_and_eyes_act():
    def distance(shown, a, b):
        points = shown.points3d[stroke(shown)]
        return np.linalg.norm(points[:, 23 + a] - points[:, 23 + b], axis=-1).mean()

    neutral, rounded, opened = (clean(f"SYN-FOPA-0{k}") for k in (1, 2, 3))
    assert distance(opened, 62, 66) > distance(neutral, 62, 66) + 0.05
    assert distance(rounded, 48, 54) < 0.7 * distance(neutral, 48, 54)
    plain, raised, furrowed, shaking = (clean(f"SYN-GIRU-0{k}") for k in (1, 2, 3, 4))
    assert distance(raised, 19, 37) > distance(plain, 19, 37) + 0.03
    assert distance(furrowed, 21, 22) < distance(plain, 21, 22) - 0.02
    assert np.ptp(shaking.points3d[:, 23 + 30, 0]) > 5 * np.ptp(plain.points3d[:, 23 + 30, 0])
    opened, closed = clean("SYN-JOBE-01"), clean("SYN-JOBE-02")
    assert distance(closed, 37, 41) < 0.25 * distance(opened, 37, 41)


# --------------------------------------------------------------------------------- the geometry
def test_small_mathematics():
    x = np.linspace(-0.5, 1.5, 201)
    rise = minimum_jerk(x)
    assert rise[0] == 0
    assert rise[-1] == 1
    assert (np.diff(rise) >= 0).all()
    assert minimum_jerk(np.array([0.5])) == pytest.approx(0.5)
    phase = np.linspace(0, 1, 301)
    for repeat in (1, 2, 3):
        path = back_and_forth(phase, repeat)
        assert (path[0], path[-1]) == (0, 1)
        assert np.sum((path[1:-1] > path[:-2]) & (path[1:-1] >= path[2:])) + 1 >= repeat
        assert np.abs(np.diff(path)).max() < 0.05
    rng = np.random.default_rng(0)
    for vector in (*rng.normal(0, 1, (5, 3)), np.zeros(3), np.array([np.pi, 0, 0])):
        matrix = rotations(vector)
        assert np.allclose(matrix @ matrix.T, np.eye(3))
        assert np.linalg.det(matrix) == pytest.approx(1)
        assert np.allclose(rotations(rotation_vector(matrix)), matrix, atol=1e-6)
    assert np.allclose(rotations(np.array([0, 0, np.pi / 2])) @ [1, 0, 0], [0, 1, 0])
    # The right hand, fingers up, palm to the camera: the thumb is on the signer's left.
    frame = hand_frame(np.array([0.0, 0, 1]), np.array([0.0, -1, 0]))
    assert np.allclose(frame[:, 1], [1, 0, 0])


def test_arm_keeps_its_lengths_also_out_of_reach():
    rng = np.random.default_rng(1)
    shoulder = np.tile([-0.5, 0.0, 0.0], (200, 1))
    elbow, wrist = solve_elbow(shoulder, shoulder + rng.normal(0, 1.2, (200, 3)), 0.84, 0.72)
    assert np.allclose(np.linalg.norm(elbow - shoulder, axis=1), 0.84, atol=1e-6)
    assert np.allclose(np.linalg.norm(wrist - elbow, axis=1), 0.72, atol=1e-6)


def test_hand_of_wrong_size_is_refused():
    with pytest.raises(ValueError, match="20 angles"):
        hand_points(np.zeros(19))


@pytest.mark.parametrize("sign", SIGNS[::5], ids=lambda s: s.gloss)
def test_bones_of_hands_and_arms_are_rigid(sign):
    points = body_motion(sign, draw_signer(3, 5), np.random.default_rng(1)).points3d
    bones = [(LEFT + a, LEFT + b) for a, b in HAND_BONES]
    bones += [(RIGHT + a, RIGHT + b) for a, b in HAND_BONES]
    bones += [(7, 5), (9, 7), (8, 6), (10, 8), (12, 11)]
    for child, parent in bones:
        length = np.linalg.norm(points[:, child] - points[:, parent], axis=-1)
        assert np.ptp(length) < 1e-6, (child, parent)


def test_projected_bones_are_never_longer_than_the_bone():
    shown = clean("SYN-NELI-01")
    camera = SignerProfile().camera
    unit = camera.scale * camera.image_size[1] / (1 - 1.6 / 6.0)  # nothing is nearer than 1.6
    for child, parent in HAND_BONES:
        flat = np.linalg.norm(shown.keypoint[:, RIGHT + child] - shown.keypoint[:, RIGHT + parent], axis=-1)
        real = np.linalg.norm(shown.points3d[0, RIGHT + child] - shown.points3d[0, RIGHT + parent])
        assert flat.max() <= real * unit + 1e-3


@pytest.mark.parametrize("sign", SIGNS, ids=IDS)
def test_hand_reaches_its_place(sign):
    shown = clean(sign)
    held = stroke(shown)
    assert len(held) > 5
    gap = np.linalg.norm(shown.anchor - shown.place, axis=-1)[held]
    assert gap.max() < 0.02
    motion = body_motion(sign, draw_signer(0, 4), np.random.default_rng(0))
    assert np.median(np.linalg.norm(motion.anchor - motion.place, axis=-1)[stroke(motion)]) < 0.12


def test_touching_points_meet_the_body():
    hook = clean("SYN-HADI-02").points3d  # hooked index finger on the nose
    held = stroke(clean("SYN-HADI-02"))
    assert np.linalg.norm(hook[held, RIGHT + 6] - hook[held, 23 + 30], axis=-1).max() < 0.12
    tap = clean("SYN-TAMU-02")  # the flat right hand on the left palm; contact at the end of a tap
    last = stroke(tap)[-1]
    palms = [tap.points3d[last, root + np.array([0, 9])].mean(0) for root in (LEFT, RIGHT)]
    assert np.linalg.norm(palms[0] - palms[1]) < 0.25
    chin = clean("SYN-BALO-02")  # fingertips at the chin when the stroke begins
    begin = stroke(chin)[0]
    assert np.linalg.norm(chin.points3d[begin, RIGHT + 12] - chin.points3d[begin, 23 + 8]) < 0.15


def test_signer_faces_the_camera():
    shown = clean("SYN-DUVA-01")
    layout = get_layout("wholebody133")
    points = shown.keypoint[0]
    assert points[layout.landmarks["right_shoulder"], 0] < points[layout.landmarks["left_shoulder"], 0]
    assert points[0, 1] < points[5, 1] < points[11, 1]
    assert points[23, 0] < points[23 + 16, 0]  # iBUG 0 is the right end of the jaw


def test_left_handed_signer_is_the_mirror_image():
    layout = get_layout("wholebody133")
    for sign in (BY_GLOSS["SYN-KEMI-01"], BY_GLOSS["SYN-TAMU-01"], BY_GLOSS["SYN-JOBE-01"]):
        right = body_motion(sign, SignerProfile(), np.random.default_rng(4)).points3d
        left = body_motion(sign, SignerProfile(left_handed=True), np.random.default_rng(4)).points3d
        mirrored = right[:, list(layout.swap)] * [-1, 1, 1]
        assert np.allclose(left, mirrored)
    moving = np.ptp(clean("SYN-KEMI-01", left_handed=True).points3d, axis=0).max(-1)
    assert moving[LEFT] > 0.5
    assert moving[RIGHT] < 1e-9


def test_an_eighth_of_the_signers_is_left_handed():
    left = [draw_signer(0, index).left_handed for index in range(40)]
    assert sum(left) == 5
    assert any(left[:8])  # one of them trains


# -------------------------------------------------------------------------------------- the clips
@pytest.fixture(scope="module")
def clips():
    """One take of 40 signs by 12 signers: 480 clips."""
    return list(make_clips(SynthSignSpec(takes=1)))


def test_clip_depends_on_its_own_numbers_only():
    small, large = SynthSignSpec(signs=6, signers=3, takes=1), SynthSignSpec(takes=9, signers=30)
    first, again = make_clip(small, 4, 2, 0), make_clip(large, 4, 2, 0)
    assert np.array_equal(first.keypoint, again.keypoint)
    assert np.array_equal(first.score, again.score)
    assert first.clip_id == again.clip_id
    for other in (
        make_clip(large, 4, 2, 1),
        make_clip(large, 4, 3, 0),
        make_clip(replace(large, seed=1), 4, 2, 0),
    ):
        assert not np.array_equal(first.keypoint[:30], other.keypoint[:30])
    listed = list(make_clips(small))
    assert np.array_equal(listed[2 * 6 + 4].keypoint, first.keypoint)


def test_splits_have_disjoint_signers(clips):
    assert {k: len(v) for k, v in signer_splits(12).items()} == {"train": 8, "val": 2, "test": 2}
    for count in (3, 7, 24):
        everyone = [s for who in signer_splits(count).values() for s in who]
        assert sorted(everyone) == list(range(count))
    split_of: dict[str, set[str]] = {}
    for clip in clips:
        split_of.setdefault(clip.signer, set()).update(clip.splits)
    assert all(len(splits) == 1 for splits in split_of.values())
    assert {next(iter(s)) for s in split_of.values()} == {"train", "val", "test"}


def test_clips_are_sound(clips):
    lost_hands = 0
    for clip in clips:
        assert 30 <= clip.num_frames <= 90
        assert clip.keypoint.shape == (clip.num_frames, 133, 2)
        assert clip.keypoint.dtype == clip.score.dtype == np.float32
        assert np.isfinite(clip.keypoint).all()
        assert clip.score.min() >= 0
        assert clip.score.max() <= 1
        width, height = clip.image_size
        assert (clip.keypoint >= 0).all()
        assert (clip.keypoint <= [width - 1, height - 1]).all()
        missing = clip.score == 0
        assert (clip.keypoint[missing] == 0).all()
        for hand in (slice(91, 112), slice(112, 133)):
            gone = missing[:, hand]
            assert (gone.all(axis=1) == gone.any(axis=1)).all()  # a hand is lost as a whole
        lost_hands += missing[:, 91:].any()
    assert 0.05 < lost_hands / len(clips) < 0.6
    upper = np.r_[0:11, 23:91]
    assert np.mean([np.mean(clip.score[:, upper] > 0.3) for clip in clips]) > 0.97
    hands = np.mean([np.mean(clip.score[:, 91:] > 0.3) for clip in clips])
    assert 0.75 < hands < 0.99
    assert {clip.fps for clip in clips} == {25.0, 30.0}
    assert {clip.image_size for clip in clips} == {(640, 480), (1280, 720)}
    lengths = [clip.num_frames for clip in clips]
    assert np.ptp(lengths) > 40


def test_noise_can_be_switched_off():
    spec = SynthSignSpec(noise=0.0)
    first, second = make_clip(spec, 6, 0, 0), make_clip(spec, 6, 0, 1)
    assert np.array_equal(first.keypoint, second.keypoint)
    steps = np.diff(first.keypoint[:, :11], axis=0, n=2)
    assert np.abs(steps).max() < 12.0


def features(clip, frames: int = 16) -> np.ndarray:
    """Joints relative to the shoulders, hands to their root, face to the nose; resampled."""
    chosen = np.r_[5:11, 91:133, 23 + np.array([30, 8, 19, 24, 21, 22, 37, 41, 48, 54, 51, 57])]
    points = clip.keypoint[:, chosen].astype(np.float64)
    seen, time = clip.score[:, chosen] > 0.3, np.arange(clip.num_frames)
    for joint in np.flatnonzero(~seen.all(0) & (seen.sum(0) > 1)):
        known = seen[:, joint]
        for axis in range(2):
            points[:, joint, axis] = np.interp(time, time[known], points[known, joint, axis])
    middle, width = points[:, :2].mean(axis=(0, 1)), np.linalg.norm(np.diff(points[:, :2], axis=1), axis=-1)
    points = (points - middle) / width.mean()
    left, right, face = points[:, 6:27], points[:, 27:48], points[:, 48:]
    parts = [points[:, :6], 2 * (left - left[:, :1]), 2 * (right - right[:, :1]), 3 * (face - face[:, :1])]
    parts += [left[:, :1], right[:, :1], face[:, :1]]
    joined = np.concatenate(parts, axis=1)
    place = np.linspace(0, len(joined) - 1, frames)
    before = np.minimum(place.astype(int), len(joined) - 2)
    share = (place - before)[:, None, None]
    return (joined[before] * (1 - share) + joined[before + 1] * share).ravel()


def test_signs_can_be_learned_but_not_easily(clips):
    data = np.stack([features(clip) for clip in clips])
    labels = np.array([clip.label for clip in clips])
    train = np.array([clip.splits == ("train",) for clip in clips])
    data = (data - data[train].mean(0)) / (data[train].std(0) + 0.05)
    kernel = data @ data[train].T
    targets = np.eye(40)[labels[train]] - 1 / 40
    weights = np.linalg.solve(kernel[train] + 300.0 * np.eye(train.sum()), targets)
    ridge = np.mean((kernel[~train] @ weights).argmax(1) == labels[~train])
    centroids = np.stack([data[train & (labels == c)].mean(0) for c in range(40)])
    far = ((data[~train][:, None] - centroids) ** 2).sum(-1)
    nearest = np.mean(far.argmin(1) == labels[~train])
    print(f"held-out signers, 1 take: ridge {ridge:.3f}, nearest centroid {nearest:.3f}")
    assert 0.45 < ridge < 0.95  # chance is 0.025
    assert 0.25 < nearest < ridge


# -------------------------------------------------------------------------------- files and tool
def load_tool(repository):
    spec = importlib.util.spec_from_file_location("synthsign_tool", repository / "tools" / "data" / "synthsign.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tool_writes_store_and_descriptions(repository, tmp_path, capsys):
    tool, out = load_tool(repository), tmp_path / "synthsign"
    words = ["--out", str(out), "--signs", "5", "--signers", "4", "--takes", "2", "--seed", "3"]
    assert tool.main(words) == 0
    assert "40 clips of 5 SYNTHETIC signs" in capsys.readouterr().out
    store = PoseStore(out / "poses.arrow")
    assert len(store) == 40
    assert "SYNTHETIC" in store.header.note
    assert store.header.layout == "wholebody133"
    assert store.header.classes == IDS[:5]
    assert "--seed 3" in store.header.command
    assert set(store.split_names) == {"train", "val", "test"}
    train, val, test = (set(store.signers[store.indices(n)]) for n in ("train", "val", "test"))
    assert len(train | val | test) == len(train) + len(val) + len(test) == 4
    assert load_descriptions(out / "descriptions.json").classes == tuple(IDS[:5])
    spec = SynthSignSpec(signs=5, signers=4, takes=2, seed=3)
    expected = make_clip(spec, 1, 2, 1)
    found = store.clip(list(store.clip_ids).index(expected.clip_id))
    assert np.abs(found.keypoint - expected.keypoint).max() <= 1 / 16
    assert tool.main(words) == 1  # would overwrite
    assert "exists already" in capsys.readouterr().err.replace("\n", " ")
    assert tool.main([*words, "--overwrite"]) == 0


def test_nothing_is_left_behind_when_making_fails(tmp_path):
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(tmp_path / "out", SynthSignSpec(signs=3, signers=3, takes=1), on_clip=stop)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--signs", "999"], "holds 48 signs"),
        (["--signers", "2"], "at least 3 signers"),
        (["--takes", "0"], "takes must be at least 1"),
        (["--seed", "-1"], "seed must not be negative"),
        (["--noise", "9"], "noise must lie in"),
    ],
)
def test_tool_explains_bad_arguments(repository, tmp_path, capsys, words, message):
    out = tmp_path / "none"
    assert load_tool(repository).main(["--out", str(out), *words]) == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_preview_is_a_picture(tmp_path):
    path = draw_preview(tmp_path / "p.png", SynthSignSpec(), labels=[0, 13], frames=3)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["p.png"]
