# Ours: alpha falls to 0 over the training, along half a cosine.
_base_ = "schedule_constant.py"
custom_hooks = [*_base_.custom_hooks, dict(type="ContrastScheduleHook", start=1.0, end=0.0, curve="cosine")]
