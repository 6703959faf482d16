# Table 6, the 87 points of GSP-MC, with the texts of the parts.
_base_ = "_base_/gspmc.py"
points = dict(SelectKeypoints=dict(layout="sign87"))
model = dict(
    backbone=dict(layout="sign87"),
    part_pooling=dict(layout="sign87"),
    cls_head=dict(terms=("body", "left_hand", "right_hand", "mouth", "face")),
)
train_dataloader = dict(dataset=dict(pipeline_overrides=points))
test_dataloader = dict(dataset=dict(pipeline_overrides=points))
