# Table 5, multipart alone, where there are only hands (wlasl100).
_base_ = "_base_/gspmc.py"
model = dict(cls_head=dict(terms=("left_hand", "right_hand")))
