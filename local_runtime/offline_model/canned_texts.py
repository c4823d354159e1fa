"""The offline model's own texts: for the flows' samples, and templates for any other topic."""

QUESTION = "What is the capital of France, and what is it known for?"

ANSWER = (
    "The capital of France is Paris. It is known for the Eiffel Tower, the Louvre and Notre-Dame "
    "cathedral, and for its art, fashion and food."
)
IN_FRENCH = (
    "La capitale de la France est Paris. Elle est connue pour la tour Eiffel, le Louvre et la "
    "cathédrale Notre-Dame, ainsi que pour son art, sa mode et sa gastronomie."
)
IN_SPANISH = (
    "La capital de Francia es París. Es conocida por la torre Eiffel, el Louvre y la catedral de "
    "Notre Dame, así como por su arte, su moda y su gastronomía."
)

SAMPLE_TOPIC = "Durable workflows for AI agents"

SAMPLE_NOTES = """\
Key facts:
- A call to a language model is slow, costs money, and fails now and then: rate limits, timeouts.
- A workflow of several agents makes many such calls, and may wait hours for a person.
- Durable execution records each finished step. After a crash the workflow is replayed from the \
record: finished steps return their recorded results and only the rest is run.
- The code that decides must be deterministic; calls to models are activities outside of it.
Points of view:
- Teams with short, cheap chains may find retries in memory enough.
- Teams with long or costly chains, or with approvals, want a record and a place to look.
What readers usually ask:
- Is a step ever run twice? It may be, if the crash falls between its effect and the record; \
so steps should be safe to repeat.
Unsure: how much the record costs depends on the store and on the size of the results."""

_PROBLEM = (
    "An agent that calls a language model waits for seconds, pays for every answer, and now and "
    "then gets an error instead. A workflow of several agents multiplies all three: one answer "
    "feeds the next, some run side by side, and a person may have to approve the result."
)
_IDEA = (
    "Durable execution writes down each finished step. When the process dies, the workflow is "
    "replayed from that record: steps that were finished give back their recorded results, and "
    "only what is left is run. A model's answer that was paid for once is not paid for again."
)
_PRICE = (
    "The price is discipline. The code that decides what comes next must decide the same on "
    "every replay, so it reads no clock and calls no model itself; calls are activities. And a "
    "step whose result was lost just before it was written down runs once more, so steps should "
    "be safe to repeat."
)
_ADVICE = (
    "For a short and cheap chain, retries in memory may be enough. Once a chain is long or "
    "costly, or waits for people, a record of every step is what lets it finish, and shows "
    "afterwards how it did."
)

SAMPLE_DRAFT = "\n\n".join((_PROBLEM, _IDEA, _PRICE, _ADVICE))
SAMPLE_ARTICLE = f"Agents That Finish What They Start\n\n{SAMPLE_DRAFT}"

PLACEHOLDER_MARK = "[Offline placeholder, not a model's answer]"

TEMPLATE_NOTES = """\
Key facts:
- (a real model would list what is known about "{topic}" here)
Points of view:
- (a real model would weigh different views of "{topic}" here)
What readers usually ask:
- What is "{topic}", and why does it matter?"""

TEMPLATE_DRAFT = """\
This stands in the place of an article about "{topic}". The offline model knows nothing of the \
subject; it only shows that the notes arrived and that a draft comes back.

With a real model configured, three to five paragraphs on "{topic}" would be here."""

TEMPLATE_ARTICLE = """\
On "{topic}"

This stands in the place of a finished article about "{topic}". The offline model knows nothing \
of the subject; it only shows that the draft arrived and that an edited text comes back.

With a real model configured, the edited article on "{topic}" would be here."""
