# Table 6, the 87 points of GSP-MC, without texts.
_base_ = "_base_/visual_encoder.py"
points = dict(SelectKeypoints=dict(layout="sign87"))
model = dict(backbone=dict(layout="sign87"))
train_dataloader = dict(dataset=dict(pipeline_overrides=points))
test_dataloader = dict(dataset=dict(pipeline_overrides=points))
