"""The HTTP server of all parts that have one: uvicorn, with what it leaves to a proxy before it."""
