"""What adds versions: decisions that need a port."""
