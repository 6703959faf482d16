# GSP-MC on AUTSL, bone motion stream.
_base_ = "gspmc_autsl_j.py"
stream = dict(SkeletonStream=dict(stream="bm"))
train_dataloader = dict(dataset=dict(pipeline_overrides=stream))
val_dataloader = dict(dataset=dict(pipeline_overrides=stream))
test_dataloader = dict(dataset=dict(pipeline_overrides=stream))
