custom_imports = dict(imports=["gspmc_mm"], allow_failed_imports=False)
default_scope = "mmaction"

default_hooks = dict(
    runtime_info=dict(type="RuntimeInfoHook"),
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=20, ignore_last=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    # Two are kept at least: the older one is removed before the newer one is written.
    checkpoint=dict(type="CheckpointHook", interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type="DistSamplerSeedHook"),
)
custom_hooks = [
    dict(type="PlainCheckpointHook"),  # checkpoints that load under weights_only
    dict(type="EpochSeedHook"),  # a resumed run draws the numbers of the unbroken one
    dict(type="ValidateResumedEpochHook"),  # also when it was killed during a validation
    dict(type="CheckSignsHook"),  # model, data and texts are of the same signs
]
model_wrapper_cfg = dict(type="DeviceAwareDistributedDataParallel", broadcast_buffers=False)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
log_processor = dict(type="LogProcessor", window_size=20, by_epoch=True)
vis_backends = [dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")]
visualizer = dict(type="ActionVisualizer", vis_backends=vis_backends)
randomness = dict(seed=0)
log_level = "INFO"
load_from = None
resume = False
