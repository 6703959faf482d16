# CTR-GCN's own: every channel of every clip has a topology of its own.
_base_ = "_base_/gspmc.py"
model = dict(backbone=dict(graph=dict(refine=True)))
