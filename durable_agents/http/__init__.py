"""The agents' own HTTP routes: ask, wait, fetch a result, cancel; errors as problem+json."""
