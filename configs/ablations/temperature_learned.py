# Ours: the temperature is learned from 0.1 on, as in CLIP; no weight decay on it.
_base_ = "_base_/gspmc.py"
model = dict(cls_head=dict(loss_con=dict(learn_tau=True)))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"loss_con.log_scale": dict(decay_mult=0.0)}))
