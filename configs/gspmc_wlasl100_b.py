# GSP-MC on WLASL-100 hands, bone stream.
_base_ = "gspmc_wlasl100_j.py"
stream = dict(SkeletonStream=dict(stream="b"))
train_dataloader = dict(dataset=dict(pipeline_overrides=stream))
val_dataloader = dict(dataset=dict(pipeline_overrides=stream))
test_dataloader = dict(dataset=dict(pipeline_overrides=stream))
