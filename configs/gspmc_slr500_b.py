# GSP-MC on SLR-500, bone stream.
_base_ = "gspmc_slr500_j.py"
stream = dict(SkeletonStream=dict(stream="b"))
train_dataloader = dict(dataset=dict(pipeline_overrides=stream))
test_dataloader = dict(dataset=dict(pipeline_overrides=stream))
