# Table 6, the 76 points of CoSign, without texts.
_base_ = "_base_/visual_encoder.py"
points = dict(SelectKeypoints=dict(layout="cosign76"))
model = dict(backbone=dict(layout="cosign76"))
train_dataloader = dict(dataset=dict(pipeline_overrides=points))
test_dataloader = dict(dataset=dict(pipeline_overrides=points))
