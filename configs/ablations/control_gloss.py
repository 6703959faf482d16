# Control: the gloss stands in place of every text, so nothing says what the sign looks like.
_base_ = "_base_/gspmc.py"
text_bank = _base_.text_bank.replace(".safetensors", "_gloss.safetensors")
model = dict(cls_head=dict(text_bank=text_bank))
train_dataloader = dict(dataset=dict(pipeline_overrides=dict(LoadSignDescriptions=dict(text_bank=text_bank))))
