"""A module of the app's own, imported from its folder."""


def greet(city: str) -> str:
    return f"Hello {city}!"
