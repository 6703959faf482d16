# Table 5, multipart alone: every part against its texts. Also the last row of Table 4 and the 87 points of Table 6.
_base_ = "_base_/gspmc.py"
model = dict(cls_head=dict(terms=("body", "left_hand", "right_hand", "mouth", "face")))
