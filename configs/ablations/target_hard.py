# Ours: one positive a row, the other texts of the sign are negatives.
_base_ = "_base_/gspmc.py"
model = dict(cls_head=dict(loss_con=dict(target="hard")))
