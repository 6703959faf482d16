# GSP-MC on WLASL-100 hands with a sentence for every coded attribute (a handshape, a path, a place) in place of a text
# for every hand (python tools/gsp/asl_lex.py ... --segments attributes): the clips of all signs that have an attribute
# are positives of its sentence.
_base_ = "gspmc_wlasl100_j.py"
text_bank = "data/wlasl100/text_bank_attributes.safetensors"
model = dict(cls_head=dict(text_bank=text_bank, alpha=1.0, positives="text", negatives="bank"))
train_dataloader = dict(dataset=dict(pipeline_overrides=dict(LoadSignDescriptions=dict(text_bank=text_bank))))
