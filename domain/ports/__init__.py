"""What the rules and the stages need from the outside. Every port has an in-memory twin in connectors/memory.

All methods may raise `Unavailable` (the dependency does not answer: nothing may be assumed) and are safe to repeat.
"""

from domain.ports.accounts import Accounts
from domain.ports.analytics import Exporter, UsageReader
from domain.ports.auditing import Bill, Books
from domain.ports.budgets import Budgets
from domain.ports.caching import Cache
from domain.ports.decoding import Decoder
from domain.ports.documents import Documents, Opened
from domain.ports.exports import ExportJobs, ExportSchedules, Files
from domain.ports.health import HealthBoard
from domain.ports.jobs import Jobs, Letters, Originals, Queues
from domain.ports.ledger import Ledger
from domain.ports.limits import Flights, Limiter
from domain.ports.model import Model
from domain.ports.object_book import ObjectBook
from domain.ports.pacing import Pacer
from domain.ports.safety import ContentFilter, Prompt
from domain.ports.schemas import Schemas
from domain.ports.similar import Embedder, SimilarAnswers
from domain.ports.sinks import BatchSource, Item, Refused, Sink, SinkBoard, StreamBook
from domain.ports.sources import SourceFile, SourceStore
from domain.ports.stream import Changes, Chunk, Chunks, Producer, Record, Replies, Reply
from domain.ports.trail import Pen, Trail
from domain.ports.webhooks import Deliveries, Endpoints, Outlet

__all__ = [
    "Accounts",
    "BatchSource",
    "Bill",
    "Books",
    "Budgets",
    "Cache",
    "Changes",
    "Chunk",
    "Chunks",
    "ContentFilter",
    "Decoder",
    "Deliveries",
    "Documents",
    "Embedder",
    "Endpoints",
    "ExportJobs",
    "ExportSchedules",
    "Exporter",
    "Files",
    "Flights",
    "HealthBoard",
    "Item",
    "Jobs",
    "Ledger",
    "Letters",
    "Limiter",
    "Model",
    "ObjectBook",
    "Opened",
    "Originals",
    "Outlet",
    "Pacer",
    "Pen",
    "Producer",
    "Prompt",
    "Queues",
    "Record",
    "Refused",
    "Replies",
    "Reply",
    "Schemas",
    "SimilarAnswers",
    "Sink",
    "SinkBoard",
    "SourceFile",
    "SourceStore",
    "StreamBook",
    "Trail",
    "UsageReader",
]
