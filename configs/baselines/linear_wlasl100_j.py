# A linear classifier on the poses themselves, with the data, augmentation and schedule of the networks.
_base_ = "../ctrgcn_wlasl100_j.py"
numbers = 16 * 20 * 7  # frames, joints, channels
model = dict(
    backbone=dict(_delete_=True, type="PoseVector", num_features=numbers),
    cls_head=dict(in_channels=numbers),
)
optim_wrapper = dict(optimizer=dict(lr=0.02, weight_decay=0.05))
