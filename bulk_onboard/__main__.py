"""``python -m bulk_onboard`` is ``bulk-onboard``."""

import sys

from bulk_onboard.cli.main import main

sys.exit(main())
