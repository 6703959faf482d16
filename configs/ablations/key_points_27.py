# Table 6, the 27 points of SAM-SLR, without texts.
_base_ = "_base_/visual_encoder.py"
points = dict(SelectKeypoints=dict(layout="samslr27"))
model = dict(backbone=dict(layout="samslr27"))
train_dataloader = dict(dataset=dict(pipeline_overrides=points))
test_dataloader = dict(dataset=dict(pipeline_overrides=points))
