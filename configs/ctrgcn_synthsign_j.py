# The classifier-only baseline on SYNTHETIC signs, sized for the demo on two CPU cores.
_base_ = [
    "_base_/default_runtime.py",
    "_base_/models/part_ctrgcn.py",
    "_base_/datasets/synthsign.py",
    "_base_/schedules/sgd_cosine_36e.py",
]
model = dict(
    backbone=dict(
        layout="sign39",
        base_channels=16,
        num_stages=5,
        inflate_stages=(3,),
        down_stages=(2, 3),
    ),
    cls_head=dict(num_classes=40, in_channels=32),
)
train_cfg = dict(val_begin=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=6))
auto_scale_lr = dict(enable=False, base_batch_size=16)
