# Ours: a sentence that several signs share is a positive of all of them.
_base_ = "_base_/gspmc.py"
model = dict(cls_head=dict(positives="text"))
