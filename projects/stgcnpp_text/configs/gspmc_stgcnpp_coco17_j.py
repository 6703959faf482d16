# mmaction's own STGCN++ on COCO-17 poses, joint stream, trained with descriptions of the actions.
# What is not said here (network, sampling, schedule, test pipeline) is mmaction's.
_base_ = "mmaction::skeleton/stgcnpp/stgcnpp_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py"
custom_imports = dict(imports=["gspmc_mm"], allow_failed_imports=False)
custom_hooks = [dict(type="PlainCheckpointHook")]  # checkpoints that load under weights_only

num_classes = 6
ann_file = "data/actions/poses.pkl"
text_bank = "data/actions/text_bank.safetensors"

model = dict(
    type="PartPooledGCNRecognizer",
    part_pooling=dict(type="PartPooling", layout="{{ fileDirname }}/../coco17_limbs.yaml"),
    cls_head=dict(
        type="TextConditionedHead",
        num_classes=num_classes,
        text_bank=text_bank,
        positives="text",  # "the legs stay still" is true of several actions
    ),
)

train_pipeline = [
    dict(type="PreNormalize2D"),
    dict(type="GenSkeFeat", dataset="coco", feats=["j"]),
    dict(type="UniformSampleFrames", clip_len=100),
    dict(type="PoseDecode"),
    dict(type="LoadSignDescriptions", text_bank=text_bank, num_classes=num_classes),
    dict(type="FormatGCNInput", num_person=2),
    dict(type="PackActionInputs", algorithm_keys=("text_rows",)),
]
train_dataloader = dict(dataset=dict(dataset=dict(ann_file=ann_file, split="train", pipeline=train_pipeline)))
val_dataloader = dict(dataset=dict(ann_file=ann_file, split="val"))
test_dataloader = dict(dataset=dict(ann_file=ann_file, split="val"))
