"""The hash chain and the signed checkpoints: why history can not be edited unseen."""
