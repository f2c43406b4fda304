"""What was intended, what came of it, and what is known of every grower."""

from bulk_onboard.domain.entry import GrowerState
from bulk_onboard.ledger.database import Retry
from bulk_onboard.ledger.journal import Journal
from bulk_onboard.ledger.ledger import Ledger
from bulk_onboard.ledger.lock import Lock, hold

__all__ = ["GrowerState", "Journal", "Ledger", "Lock", "Retry", "hold"]
