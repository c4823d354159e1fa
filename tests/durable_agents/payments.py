"""The classes of case 09: a discriminated union, a described enum, a default."""

from datetime import date
from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Card(BaseModel):
    kind: Literal["card"]
    last4: str


class Transfer(BaseModel):
    kind: Literal["transfer"]
    iban: str


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Payment(BaseModel):
    method: Annotated[Card | Transfer, Field(discriminator="kind", description="how it is paid")]
    colour: Colour = Field(description="of the label")
    due: date | None = None
