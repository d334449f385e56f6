"""Reviews, as a client writes and reads them: tickets, statements, and registries that are not believed (chapter 4)."""

from __future__ import annotations

from consilience.client.reviews.desk import Publication, ReviewDesk
from consilience.client.reviews.faults import Fault, FaultKind
from consilience.client.reviews.finding import FoundNode, FoundNodes
from consilience.client.reviews.opinions import Opinions
from consilience.client.reviews.registries import Registries
from consilience.client.reviews.statement_book import StatementBook, default_statement_file
from consilience.client.reviews.ticket_book import TicketBook, default_ticket_file
from consilience.client.tickets import HeldTicket

__all__ = [
    "Fault",
    "FaultKind",
    "FoundNode",
    "FoundNodes",
    "HeldTicket",
    "Opinions",
    "Publication",
    "Registries",
    "ReviewDesk",
    "StatementBook",
    "TicketBook",
    "default_statement_file",
    "default_ticket_file",
]
