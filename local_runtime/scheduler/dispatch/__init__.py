"""Who gets which work: what is ready, who holds what, and what comes back."""
