# GSP-MC on NTU RGB+D 60, 3D skeletons of 25 joints and two people, cross-subject, joint stream.
# Data pipeline and schedule are those of mmaction's STGCN++ on the same pickle.
_base_ = "mmaction::skeleton/stgcnpp/stgcnpp_8xb16-joint-u100-80e_ntu60-xsub-keypoint-3d.py"
custom_imports = dict(imports=["gspmc_mm"], allow_failed_imports=False)
custom_hooks = [dict(type="PlainCheckpointHook")]  # checkpoints that load under weights_only

text_bank = "data/skeleton/ntu60_text_bank.safetensors"

model = dict(
    type="PartPooledGCNRecognizer",
    backbone=dict(_delete_=True, type="PartCTRGCN", layout="ntu25", in_channels=3, num_person=2),
    part_pooling=dict(type="PartPooling", layout="ntu25"),
    cls_head=dict(
        type="TextConditionedHead",
        text_bank=text_bank,
        alpha=0.5,
        loss_con=dict(type="MultiPositiveKLLoss", tau=0.1),
        positives="text",  # "the torso and the legs stay still" is true of many actions
    ),
)

train_pipeline = [
    dict(type="PreNormalize3D"),
    dict(type="GenSkeFeat", dataset="nturgb+d", feats=["j"]),
    dict(type="UniformSampleFrames", clip_len=100),
    dict(type="PoseDecode"),
    dict(type="LoadSignDescriptions", text_bank=text_bank, num_classes=60),
    dict(type="FormatGCNInput", num_person=2),
    dict(type="PackActionInputs", algorithm_keys=("text_rows",)),
]
train_dataloader = dict(dataset=dict(dataset=dict(pipeline=train_pipeline)))
