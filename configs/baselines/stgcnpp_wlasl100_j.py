# mmaction2's own ST-GCN++ in the place of PartCTRGCN, as deep and as wide; the data, the augmentation and the
# schedule are the baseline's. Its rate was not searched for.
_base_ = "../ctrgcn_wlasl100_j.py"
model = dict(
    backbone=dict(
        _delete_=True,
        type="STGCN",
        graph_cfg=dict(layout="hands20", mode="spatial"),
        gcn_adaptive="init",
        gcn_with_res=True,
        tcn_type="mstcn",
        in_channels=7,
        base_channels=32,
        num_stages=6,
        inflate_stages=(3, 5),
        down_stages=(),
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.2))
