# GSP-MC on a data set: GSPMC_DATA_SET=synthsign|wlasl100|slr500|autsl, slr500 by default.
_base_ = "../../gspmc_{{$GSPMC_DATA_SET:slr500}}_j.py"
# Nothing is chosen on the way: the clips that are held out are looked at once, after the last epoch.
val_dataloader = None
val_cfg = None
val_evaluator = None
