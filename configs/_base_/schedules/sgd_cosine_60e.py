# The schedule for small data, long enough for real signs: seven clips a sign go on gaining until epoch 50.
_base_ = "sgd_cosine_36e.py"
max_epochs = 60
warm_up, cosine = _base_.param_scheduler
param_scheduler = [warm_up, dict(cosine, end=max_epochs, T_max=max_epochs - 2)]
train_cfg = dict(max_epochs=max_epochs)
