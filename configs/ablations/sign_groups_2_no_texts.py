# Ours: the visual encoder alone with two clips of a sign together, so that the batches are not taken for the texts.
_base_ = "_base_/visual_encoder.py"
train_dataloader = dict(sampler=dict(_delete_=True, type="SignGroupSampler", clips_per_sign=2))
