# GSP-MC on SLR-500, joint stream, for tuning: trains on a part of the training signers, validates on the rest.
_base_ = "gspmc_slr500_j.py"
train_dataloader = dict(dataset=dict(split="gsp35_fit"))
val_dataloader = dict(
    _delete_=True,
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="SignPoseDataset",
        ann_file={{_base_.ann_file}},
        split="gsp35_val",
        num_classes=500,
        pipeline={{_base_.test_pipeline}},
        test_mode=True,
    ),
)
val_cfg = dict(_delete_=True, type="ValLoop")
val_evaluator = dict(_delete_=True, type="SignAccuracy")
