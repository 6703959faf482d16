# Ours: temperature tau = 0.2; 0.1 in the paper.
_base_ = "_base_/gspmc.py"
model = dict(cls_head=dict(loss_con=dict(tau=0.2)))
