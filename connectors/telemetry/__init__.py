"""What operators see: metrics, logs, traces and the small server that shows them."""
