# Ours: the learned topology serves all clips and channels.
_base_ = "_base_/gspmc.py"
model = dict(backbone=dict(graph=dict(refine=False)))
