# The classifier-only baseline on AUTSL, joint stream: the visual encoder of GSP-MC without texts.
_base_ = [
    "_base_/default_runtime.py",
    "_base_/models/part_ctrgcn.py",
    "_base_/datasets/autsl.py",
    "_base_/schedules/sgd_110e.py",
]
model = dict(cls_head=dict(num_classes=226))
optim_wrapper = dict(optimizer=dict(lr=0.04, weight_decay=4e-4))
auto_scale_lr = dict(enable=False, base_batch_size=80)
default_hooks = dict(checkpoint=dict(save_best="acc/top1"))
