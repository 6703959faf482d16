# GSP-MC on AUTSL, joint stream.
_base_ = "ctrgcn_autsl_j.py"
text_bank = "data/autsl/text_bank.safetensors"
model = dict(
    part_pooling=dict(type="PartPooling", layout="sign87"),
    cls_head=dict(text_bank=text_bank, alpha=0.5, loss_con=dict(type="MultiPositiveKLLoss", tau=0.1)),
)
train_dataloader = dict(dataset=dict(pipeline_overrides=dict(LoadSignDescriptions=dict(text_bank=text_bank))))
