# SLR-500: signers 1 to 35 train, 36 to 50 test (gsp35, the split of the paper); 8 GPUs x 15 clips = 120.
# The data set has no validation split. These experiments train on all 35 signers for a fixed number of epochs and
# never look at the test signers before the end; to tune something, see gspmc_slr500_j_val.py.
ann_file = "data/slr500/poses.arrow"
train_split, test_split = "gsp35_train", "gsp35_test"

train_pipeline = [
    dict(type="SelectKeypoints", layout="sign87"),
    dict(type="FillMissingKeypoints", min_score=0.3, max_gap=5),
    dict(type="NormalizeSigner", reference="shoulders"),
    dict(type="RandomPlanarAffine", rotate=15, scale=0.1, shear=0.1, shift=0.1),
    dict(type="SampleSignFrames", clip_len=64, mode="window", p_interval=(0.7, 1)),
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
    dict(type="SelectKeypoints", layout="sign87"),
    dict(type="FillMissingKeypoints", min_score=0.3, max_gap=5),
    dict(type="NormalizeSigner", reference="shoulders"),
    dict(type="SampleSignFrames", clip_len=64, mode="uniform", test_mode=True),
    dict(type="PoseDecode"),
    dict(type="SkeletonStream", stream="j"),
    dict(type="FormatGCNInput", num_person=1),
    dict(type="PackActionInputs", meta_keys=("clip_id", "signer", "stream")),
]

train_dataloader = dict(
    batch_size=15,
    num_workers=4,
    worker_init_fn=dict(type="seed_worker"),
    collate_fn=dict(type="stack_clips"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    drop_last=True,
    pin_memory=True,
    dataset=dict(
        type="SignPoseDataset",
        ann_file=ann_file,
        split=train_split,
        num_classes=500,
        pipeline=train_pipeline,
    ),
)
val_dataloader = None
test_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    collate_fn=dict(type="stack_clips"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="SignPoseDataset",
        ann_file=ann_file,
        split=test_split,
        num_classes=500,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = None
test_evaluator = dict(type="SignAccuracy")
