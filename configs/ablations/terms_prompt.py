# Table 5, prompt alone: the global feature against the refined text.
_base_ = "_base_/gspmc.py"
model = dict(cls_head=dict(terms=("global",)))
