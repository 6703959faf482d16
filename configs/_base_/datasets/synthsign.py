# SYNTHETIC signs (python tools/data/synthsign.py makes them): 40 signs by signers who are held out in val and test.
ann_file = "data/synthsign/poses.arrow"

train_pipeline = [
    dict(type="SelectKeypoints", layout="sign39"),
    dict(type="TrimToSigning"),
    dict(type="FillMissingKeypoints", min_score=0.3, max_gap=10),
    dict(type="NormalizeSigner", reference="shoulders"),
    dict(type="RandomPlanarAffine", rotate=10, scale=0.1, shear=0.1, shift=0.1),
    dict(type="SampleSignFrames", clip_len=16, mode="window", p_interval=(0.8, 1)),
    dict(type="PoseDecode"),
    dict(type="SkeletonStream", stream="j"),
    dict(type="LoadSignDescriptions"),
    dict(type="FormatGCNInput", num_person=1),
    dict(
        type="PackActionInputs",
        meta_keys=("clip_id", "signer", "stream"),
        algorithm_keys=("text_rows",),
    ),
]
test_pipeline = [
    dict(type="SelectKeypoints", layout="sign39"),
    dict(type="TrimToSigning"),
    dict(type="FillMissingKeypoints", min_score=0.3, max_gap=10),
    dict(type="NormalizeSigner", reference="shoulders"),
    dict(type="SampleSignFrames", clip_len=16, mode="uniform", test_mode=True),
    dict(type="PoseDecode"),
    dict(type="SkeletonStream", stream="j"),
    dict(type="FormatGCNInput", num_person=1),
    dict(type="PackActionInputs", meta_keys=("clip_id", "signer", "stream")),
]

train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    collate_fn=dict(type="stack_clips"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    drop_last=True,
    dataset=dict(
        type="SignPoseDataset",
        ann_file=ann_file,
        split="train",
        num_classes=40,
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
        split="val",
        num_classes=40,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    collate_fn=dict(type="stack_clips"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="SignPoseDataset",
        ann_file=ann_file,
        split="test",
        num_classes=40,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type="SignAccuracy")
test_evaluator = dict(type="SignAccuracy")
