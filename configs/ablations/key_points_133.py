# Table 6, all 133 points of COCO-WholeBody, without texts.
_base_ = "_base_/visual_encoder.py"
points = dict(SelectKeypoints=dict(layout="wholebody133"))
model = dict(backbone=dict(layout="wholebody133"))
train_dataloader = dict(dataset=dict(pipeline_overrides=points))
test_dataloader = dict(dataset=dict(pipeline_overrides=points))
