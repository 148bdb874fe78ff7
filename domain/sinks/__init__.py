"""What operators ask of sinks, and what sinks say of themselves."""
