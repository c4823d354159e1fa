"""An OpenAI-compatible stand-in for a model: canned, clearly marked replies, faults on demand."""
