"""What was intended and what came of it."""

from bulk_onboard.ledger.journal import Journal
from bulk_onboard.ledger.lasting import Patience
from bulk_onboard.ledger.ledger import Ledger
from bulk_onboard.ledger.lock import hold
from bulk_onboard.ledger.state import Known

__all__ = ["Journal", "Known", "Ledger", "Patience", "hold"]
