# Ours: alpha = 2, the weight of the contrastive loss; 0.5 in the paper.
_base_ = "_base_/gspmc.py"
model = dict(cls_head=dict(alpha=2.0))
