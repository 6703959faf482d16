# Table 4, texts from the knowledge base that were not refined (P1 without P3), on the parts.
# descriptions_kb.json: for synthsign by `tools/data/synthsign.py --stand-ins`, otherwise see prompts/README.md.
_base_ = "terms_multipart.py"
text_bank = _base_.text_bank.replace(".safetensors", "_kb.safetensors")
model = dict(cls_head=dict(text_bank=text_bank))
train_dataloader = dict(dataset=dict(pipeline_overrides=dict(LoadSignDescriptions=dict(text_bank=text_bank))))
