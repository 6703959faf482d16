# GSP-MC on SLR-500, joint stream, for tuning: trains on a part of the training signers, validates on the rest.
_base_ = "gspmc_slr500_j.py"
train_dataloader = dict(dataset=dict(split="gsp35_fit"))
# The test loader of the base on another split.
val_dataloader = dict(
    _base_.test_dataloader, _delete_=True, dataset=dict(_base_.test_dataloader.dataset, split="gsp35_val")
)
val_cfg = dict(_delete_=True, type="ValLoop")
val_evaluator = dict(_base_.test_evaluator, _delete_=True)
