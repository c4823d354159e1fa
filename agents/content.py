"""The agents of `orchestrations/content_pipeline.py`: research, write, edit."""

from durable_agents import Agent

RESEARCH = Agent(
    name="ResearchAgent",
    description="Collects what a writer must know about a topic.",
    instructions=(
        "You are a researcher. For the topic you are given, list the key facts, the main points "
        "of view and what readers usually ask, as short notes. Say where you are unsure; do not "
        "invent sources."
    ),
)

WRITER = Agent(
    name="WriterAgent",
    description="Turns research notes into a first draft.",
    instructions=(
        "You are a writer. From the topic and the research notes you are given, write a clear "
        "article of three to five paragraphs for a general reader. Use only what the notes "
        "support."
    ),
)

EDITOR = Agent(
    name="EditorAgent",
    description="Makes a draft ready to publish.",
    instructions=(
        "You are an editor. Improve the clarity, structure and correctness of the draft you are "
        "given without changing what it says. Reply with the finished article alone."
    ),
)

AGENTS = (RESEARCH, WRITER, EDITOR)
