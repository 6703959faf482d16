# The classifier-only baseline on BdSL-55, sized for two CPU cores. There are no descriptions of its signs, hence no
# GSP-MC on it.
_base_ = [
    "_base_/default_runtime.py",
    "_base_/models/part_ctrgcn.py",
    "_base_/datasets/bdsl55.py",
    "_base_/schedules/sgd_cosine_36e.py",
]
model = dict(
    backbone=dict(
        layout="sign39",
        base_channels=32,
        num_stages=6,
        inflate_stages=(4,),
        down_stages=(3, 5),
    ),
    cls_head=dict(num_classes=55, in_channels=64, label_smooth_eps=0.1),
)
default_hooks = dict(checkpoint=dict(interval=6))
auto_scale_lr = dict(enable=False, base_batch_size=16)
