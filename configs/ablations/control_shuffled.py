# Control: every sign has the texts of another sign.
_base_ = "_base_/gspmc.py"
text_bank = _base_.text_bank.replace(".safetensors", "_shuffled.safetensors")
model = dict(cls_head=dict(text_bank=text_bank))
train_dataloader = dict(dataset=dict(pipeline_overrides=dict(LoadSignDescriptions=dict(text_bank=text_bank))))
