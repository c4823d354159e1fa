"""Named like a package of the project, which must not be imported in its place."""

WHOSE = "the small app's"
