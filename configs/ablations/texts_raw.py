# Table 4, texts that a language model wrote without a knowledge base, on the parts.
# descriptions_raw.json: for synthsign by `tools/data/synthsign.py --stand-ins`, otherwise see prompts/README.md.
_base_ = "terms_multipart.py"
text_bank = _base_.text_bank.replace(".safetensors", "_raw.safetensors")
model = dict(cls_head=dict(text_bank=text_bank))
train_dataloader = dict(dataset=dict(pipeline_overrides=dict(LoadSignDescriptions=dict(text_bank=text_bank))))
