"""This service's flows, one file per flow. You edit these: short orchestrators, read as stories."""
