# Your own signs: copy this file, change its first lines (docs/own_data.md). Sized for some hundred clips and a CPU.
num_classes = 3  # tools/data/clip_list.py and tools/data/audit.py print it
ann_file = "data/own/poses"  # what tools/pose/extract.py wrote
train_split, test_split = "train", "test"

_base_ = [
    "_base_/default_runtime.py",
    "_base_/models/part_ctrgcn.py",
    "_base_/schedules/sgd_cosine_36e.py",
]
model = dict(
    # A small network: the ten blocks and 87 points of the paper would learn a few hundred clips by heart.
    # So would a topology for every clip and channel (docs/results.md); with a hundred clips a sign take the line out.
    backbone=dict(
        layout="sign39",
        base_channels=32,
        num_stages=6,
        inflate_stages=(4,),
        down_stages=(3, 5),
        graph=dict(refine=False),
    ),
    cls_head=dict(num_classes=num_classes, in_channels=64, label_smooth_eps=0.1),
)
train_pipeline = [
    dict(type="SelectKeypoints", layout="sign39"),
    dict(type="TrimToSigning"),
    dict(type="FillMissingKeypoints", min_score=0.3, max_gap=10),
    dict(type="NormalizeSigner", reference="shoulders"),
    dict(type="RandomPlanarAffine", rotate=10, scale=0.1, shear=0.1, shift=0.1),
    dict(type="SampleSignFrames", clip_len=32, mode="window", p_interval=(0.8, 1)),
    dict(type="PoseDecode"),
    dict(type="SkeletonStream", stream="j"),
    dict(type="LoadSignDescriptions"),
    dict(type="FormatGCNInput", num_person=1),
    dict(type="PackActionInputs", meta_keys=("clip_id", "signer", "stream"), algorithm_keys=("text_rows",)),
]
test_pipeline = [
    dict(type="SelectKeypoints", layout="sign39"),
    dict(type="TrimToSigning"),
    dict(type="FillMissingKeypoints", min_score=0.3, max_gap=10),
    dict(type="NormalizeSigner", reference="shoulders"),
    dict(type="SampleSignFrames", clip_len=32, mode="uniform", test_mode=True),
    dict(type="PoseDecode"),
    dict(type="SkeletonStream", stream="j"),
    dict(type="FormatGCNInput", num_person=1),
    dict(type="PackActionInputs", meta_keys=("clip_id", "signer", "stream")),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        # Ten times through the clips is an epoch, so that few clips still make a training.
        type="RepeatDataset",
        times=10,
        dataset=dict(
            type="SignPoseDataset",
            ann_file=ann_file,
            split=train_split,
            num_classes=num_classes,
            cache=True,  # a few hundred clips fit into memory
            pipeline=train_pipeline,
        ),
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="SignPoseDataset",
        ann_file=ann_file,
        split=test_split,
        num_classes=num_classes,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="SignAccuracy")
test_evaluator = dict(type="SignAccuracy")
# The test clips are looked at once, after the last epoch: nothing is chosen by them.
train_cfg = dict(val_begin=36, val_interval=36)
default_hooks = dict(checkpoint=dict(interval=6))
auto_scale_lr = dict(enable=False, base_batch_size=8)
