# GSP-MC on WLASL-100 hands; the texts come from the expert codings of ASL-LEX.
_base_ = "ctrgcn_wlasl100_j.py"
text_bank = "data/wlasl100/text_bank.safetensors"
model = dict(
    part_pooling=dict(type="PartPooling", layout="hands20"),
    cls_head=dict(text_bank=text_bank, alpha=0.5, loss_con=dict(type="MultiPositiveKLLoss", tau=0.1)),
)
train_dataloader = dict(dataset=dict(pipeline_overrides=dict(LoadSignDescriptions=dict(text_bank=text_bank))))
# The texts help most while the rate is high: their weight falls to half with it (docs/results.md).
custom_hooks = [*_base_.custom_hooks, dict(type="ContrastScheduleHook", start=1.0, end=0.5, curve="cosine")]
