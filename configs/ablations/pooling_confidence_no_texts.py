# Ours: the visual encoder alone with pooling by confidence, so that the pooling is not taken for the texts.
_base_ = "_base_/visual_encoder.py"
model = dict(pooling="confidence")
