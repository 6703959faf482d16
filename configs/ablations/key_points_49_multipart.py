# Table 6, the 49 points of MASA, with the texts of the parts.
_base_ = "_base_/gspmc.py"
points = dict(SelectKeypoints=dict(layout="masa49"))
model = dict(
    backbone=dict(layout="masa49"),
    part_pooling=dict(layout="masa49"),
    cls_head=dict(terms=("body", "left_hand", "right_hand")),
)
train_dataloader = dict(dataset=dict(pipeline_overrides=points))
test_dataloader = dict(dataset=dict(pipeline_overrides=points))
