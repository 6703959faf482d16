# GSP-MC on WLASL-100 hands; the texts come from the expert codings of ASL-LEX.
_base_ = "ctrgcn_wlasl100_j.py"
text_bank = "data/wlasl100/text_bank.safetensors"
model = dict(
    part_pooling=dict(type="PartPooling", layout="hands20"),
    cls_head=dict(text_bank=text_bank, alpha=0.5, loss_con=dict(type="MultiPositiveKLLoss", tau=0.1)),
)
train_dataloader = dict(dataset=dict(pipeline_overrides=dict(LoadSignDescriptions=dict(text_bank=text_bank))))
# With seven clips a sign the texts help early and stand in the way late: their weight falls to 0 with the rate.
custom_hooks = [*_base_.custom_hooks, dict(type="ContrastScheduleHook", start=1.0, end=0.0, curve="cosine")]
