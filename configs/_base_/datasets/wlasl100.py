# WLASL-100, hands only (python tools/data/wlasl.py makes the store): few clips of many signers.
# One signer fold is held out; train on foldK_train and test on foldK_test for K = 0..4, all five pooled by
# tools/analysis/signer_folds.py. For tuning: foldK_fit and foldK_val, both of the fold's training signers.
ann_file = "data/wlasl100/poses.arrow"

train_pipeline = [
    dict(type="SelectKeypoints", layout="hands20"),
    dict(type="TrimToSigning"),
    dict(type="FillMissingKeypoints", min_score=0.0, max_gap=200),
    dict(type="NormalizeSigner", reference="hands"),
    dict(type="RandomPlanarAffine", rotate=15, scale=0.15, shear=0.15, shift=0.15),
    dict(type="SampleSignFrames", clip_len=16, mode="window", p_interval=(0.7, 1)),
    dict(type="PoseDecode"),
    dict(type="SkeletonStream", stream="j", extra=("hand_local", "velocity")),
    dict(type="LoadSignDescriptions"),
    dict(type="FormatGCNInput", num_person=1),
    dict(
        type="PackActionInputs",
        meta_keys=("clip_id", "signer", "stream"),
        algorithm_keys=("text_rows",),
    ),
]
test_pipeline = [
    dict(type="SelectKeypoints", layout="hands20"),
    dict(type="TrimToSigning"),
    dict(type="FillMissingKeypoints", min_score=0.0, max_gap=200),
    dict(type="NormalizeSigner", reference="hands"),
    dict(type="SampleSignFrames", clip_len=16, mode="uniform", test_mode=True),
    dict(type="PoseDecode"),
    dict(type="SkeletonStream", stream="j", extra=("hand_local", "velocity")),
    dict(type="FormatGCNInput", num_person=1),
    dict(type="PackActionInputs", meta_keys=("clip_id", "signer", "stream")),
]

train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    collate_fn=dict(type="stack_clips"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    drop_last=True,
    dataset=dict(
        type="SignPoseDataset",
        ann_file=ann_file,
        split="fold0_train",
        num_classes=100,
        cache=True,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=0,
    collate_fn=dict(type="stack_clips"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="SignPoseDataset",
        ann_file=ann_file,
        split="fold0_test",
        num_classes=100,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="SignAccuracy")
test_evaluator = dict(type="SignAccuracy")
