# Table 6, the 76 points of CoSign, with the texts of the parts.
_base_ = "_base_/gspmc.py"
points = dict(SelectKeypoints=dict(layout="cosign76"))
model = dict(
    backbone=dict(layout="cosign76"),
    part_pooling=dict(layout="cosign76"),
    cls_head=dict(terms=("body", "left_hand", "right_hand", "mouth", "face")),
)
train_dataloader = dict(dataset=dict(pipeline_overrides=points))
test_dataloader = dict(dataset=dict(pipeline_overrides=points))
