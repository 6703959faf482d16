# GSP-MC on SLR-500, bone motion stream.
_base_ = "gspmc_slr500_j.py"
stream = dict(SkeletonStream=dict(stream="bm"))
train_dataloader = dict(dataset=dict(pipeline_overrides=stream))
test_dataloader = dict(dataset=dict(pipeline_overrides=stream))
