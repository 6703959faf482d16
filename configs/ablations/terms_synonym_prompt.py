# Table 5, synonyms and prompt: the global feature against both texts, no parts.
_base_ = "_base_/gspmc.py"
model = dict(cls_head=dict(terms=("synonym", "global")))
