# Ours: a synonym is drawn from the first 2 of a sign.
_base_ = "_base_/gspmc.py"
train_dataloader = dict(dataset=dict(pipeline_overrides=dict(LoadSignDescriptions=dict(num_synonyms=2))))
