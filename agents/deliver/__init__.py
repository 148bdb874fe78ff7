"""Carries results, usage and events to a destination: batches in, `Sink.write`, refused rows out, offsets after."""
