# Ours: all texts of a term are negatives, not only those of the batch.
_base_ = "_base_/gspmc.py"
model = dict(cls_head=dict(negatives="bank"))
