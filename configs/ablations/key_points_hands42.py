# Table 6, both hands whole, where there are only hands (wlasl100), without texts.
_base_ = "_base_/visual_encoder.py"
points = dict(SelectKeypoints=dict(layout="hands42"))
model = dict(backbone=dict(layout="hands42"))
train_dataloader = dict(dataset=dict(pipeline_overrides=points))
test_dataloader = dict(dataset=dict(pipeline_overrides=points))
