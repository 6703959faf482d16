# The control: GSP-MC on WLASL-100 hands with the descriptions shuffled among the signs
# (python tools/gsp/encode.py data/wlasl100/descriptions.json --encoder use-multilingual --shuffle 0 --out ...).
_base_ = "gspmc_wlasl100_j.py"
text_bank = "data/wlasl100/text_bank_shuffled.safetensors"
model = dict(cls_head=dict(text_bank=text_bank))
train_dataloader = dict(dataset=dict(pipeline_overrides=dict(LoadSignDescriptions=dict(text_bank=text_bank))))
