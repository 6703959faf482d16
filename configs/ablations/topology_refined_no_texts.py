# CTR-GCN's own: every channel of every clip has a topology of its own; the visual encoder alone.
_base_ = "_base_/visual_encoder.py"
model = dict(backbone=dict(graph=dict(refine=True)))
