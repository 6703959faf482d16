# Table 6, all 133 points of COCO-WholeBody, with the texts of the parts.
_base_ = "_base_/gspmc.py"
points = dict(SelectKeypoints=dict(layout="wholebody133"))
model = dict(
    backbone=dict(layout="wholebody133"),
    part_pooling=dict(layout="wholebody133"),
    cls_head=dict(terms=("body", "left_hand", "right_hand", "mouth", "face")),
)
train_dataloader = dict(dataset=dict(pipeline_overrides=points))
test_dataloader = dict(dataset=dict(pipeline_overrides=points))
