# Table 5, synonyms alone: the global feature against a synonym.
_base_ = "_base_/gspmc.py"
model = dict(cls_head=dict(terms=("synonym",)))
