# Ours: the learned topology serves all clips and channels; the visual encoder alone.
_base_ = "_base_/visual_encoder.py"
model = dict(backbone=dict(graph=dict(refine=False)))
