# The classifier-only baseline of a data set: GSPMC_DATA_SET=synthsign|wlasl100|bdsl55|slr500|autsl, slr500 by default.
_base_ = "../../ctrgcn_{{$GSPMC_DATA_SET:slr500}}_j.py"
# Nothing is chosen on the way: the clips that are held out are looked at once, after the last epoch.
val_dataloader = None
val_cfg = None
val_evaluator = None
