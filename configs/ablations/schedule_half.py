# Ours: alpha falls to half of itself over the training, along half a cosine.
_base_ = "schedule_constant.py"
custom_hooks = [*_base_.custom_hooks, dict(type="ContrastScheduleHook", start=1.0, end=0.5, curve="cosine")]
