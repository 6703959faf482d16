# The visual encoder of GSP-MC with a plain classifier.
model = dict(
    type="PartPooledGCNRecognizer",
    data_preprocessor=dict(type="SkeletonPreprocessor"),
    backbone=dict(type="PartCTRGCN", layout="sign87", in_channels=3, base_channels=64),
    cls_head=dict(type="TextConditionedHead", num_classes=500, in_channels=256),
)
