# Table 6, the 27 points of SAM-SLR, with the texts of the parts.
_base_ = "_base_/gspmc.py"
points = dict(SelectKeypoints=dict(layout="samslr27"))
model = dict(
    backbone=dict(layout="samslr27"),
    part_pooling=dict(layout="samslr27"),
    cls_head=dict(terms=("body", "left_hand", "right_hand")),
)
train_dataloader = dict(dataset=dict(pipeline_overrides=points))
test_dataloader = dict(dataset=dict(pipeline_overrides=points))
