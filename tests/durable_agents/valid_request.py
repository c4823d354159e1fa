"""What is wrong with a chat completions request, by the rules that real servers hold to."""

from durable_agents.testing.wire_check import strict_problems as strict_faults
from durable_agents.testing.wire_check import wire_problems as faults_of

__all__ = ["faults_of", "strict_faults"]
