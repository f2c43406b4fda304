"""What was intended and what came of it."""

from bulk_onboard.ledger.journal import Journal
from bulk_onboard.ledger.lasting import Patience
from bulk_onboard.ledger.ledger import Known, Ledger
from bulk_onboard.ledger.lock import hold

__all__ = ["Journal", "Known", "Ledger", "Patience", "hold"]
