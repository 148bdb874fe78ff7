"""The schema of an answer: checked when it is asked for, passed to the provider, and proved on what comes back."""
