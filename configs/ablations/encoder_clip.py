# Ours: texts encoded by CLIP ViT-B/32 of OpenAI, the paper's encoder; English, 77 tokens.
_base_ = "_base_/gspmc.py"
text_bank = _base_.text_bank.replace(".safetensors", "_clip.safetensors")
model = dict(cls_head=dict(text_bank=text_bank))
train_dataloader = dict(dataset=dict(pipeline_overrides=dict(LoadSignDescriptions=dict(text_bank=text_bank))))
