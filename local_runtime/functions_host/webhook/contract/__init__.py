"""The webhook's contract as data: its operations, what they take and answer, and the document."""
