"""Who may ask the host for what: keys and where they are kept, and web pages kept out."""
