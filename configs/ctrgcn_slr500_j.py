# The classifier-only baseline on SLR-500, joint stream: the visual encoder of GSP-MC without texts.
_base_ = [
    "_base_/default_runtime.py",
    "_base_/models/part_ctrgcn.py",
    "_base_/datasets/slr500.py",
    "_base_/schedules/sgd_110e.py",
]
optim_wrapper = dict(optimizer=dict(lr=0.06, weight_decay=5e-4))
auto_scale_lr = dict(enable=False, base_batch_size=120)
val_cfg = None  # no validation split, see the data set
