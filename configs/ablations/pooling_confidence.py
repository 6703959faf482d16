# Ours: frames and joints count by their confidence in all pooled features.
_base_ = "_base_/gspmc.py"
model = dict(pooling="confidence")
