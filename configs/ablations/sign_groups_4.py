# Ours: 4 clips of a sign stand together in a batch, so that a text has several skeletons.
_base_ = "_base_/gspmc.py"
train_dataloader = dict(sampler=dict(_delete_=True, type="SignGroupSampler", clips_per_sign=4))
