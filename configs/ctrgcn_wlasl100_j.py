# The classifier-only baseline on WLASL-100 hands, sized for two CPU cores.
_base_ = [
    "_base_/default_runtime.py",
    "_base_/models/part_ctrgcn.py",
    "_base_/datasets/wlasl100.py",
    "_base_/schedules/sgd_cosine_60e.py",
]
model = dict(
    backbone=dict(
        layout="hands20",
        in_channels=7,  # joints, hand-local joints, velocity: 2 each; score
        base_channels=32,
        num_stages=6,
        inflate_stages=(3, 5),
        down_stages=(),
        # With seven clips a sign a topology for every clip and channel learns the signers by heart.
        graph=dict(refine=False),
    ),
    cls_head=dict(num_classes=100, in_channels=128, label_smooth_eps=0.1),
)
optim_wrapper = dict(optimizer=dict(lr=0.4))
# Seven clips a sign: the average of the weights over the last few epochs generalises better than the last weights.
custom_hooks = [
    *_base_.custom_hooks,
    dict(type="EMAHook", ema_type="ExponentialMovingAverage", momentum=0.01, update_buffers=True),
]
default_hooks = dict(checkpoint=dict(interval=6))
auto_scale_lr = dict(enable=False, base_batch_size=32)
