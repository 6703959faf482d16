# Table 6, both hands whole, where there are only hands (wlasl100), with the texts of the parts.
_base_ = "_base_/gspmc.py"
points = dict(SelectKeypoints=dict(layout="hands42"))
model = dict(
    backbone=dict(layout="hands42"),
    part_pooling=dict(layout="hands42"),
    cls_head=dict(terms=("left_hand", "right_hand")),
)
train_dataloader = dict(dataset=dict(pipeline_overrides=points))
test_dataloader = dict(dataset=dict(pipeline_overrides=points))
