# The schedule of the paper: 110 epochs, 5 of them linear warm-up, a tenth at 90 and at 100.
# Learning rate, weight decay and batch size belong to the data set; see its config.
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.06, momentum=0.9, weight_decay=5e-4, nesterov=True))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.2, by_epoch=True, begin=0, end=5),
    dict(type="MultiStepLR", milestones=[90, 100], gamma=0.1, by_epoch=True),
]
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=110, val_begin=1, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
